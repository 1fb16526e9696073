#!/bin/sh
# Assembles an Astro project: `astro/make-project.sh FOLDER`. Run it again to bring the code of an existing one up to date.
#
# The Astro CLI wants its Dockerfile, requirements.txt and .astro/config.yaml in the folder it is called in, and copies nothing from
# outside of it, so this repository can't be that folder without growing a second face at its root.
set -eu

if [ $# -ne 1 ]; then
    echo "usage: $0 FOLDER" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
source=$(dirname "$here")
project=$1

if [ -d "$project" ] && [ -n "$(ls -A "$project")" ] && [ ! -f "$project/.astro/config.yaml" ]; then
    echo "$project: there are files in it and it is no Astro project; name an empty or a new folder, or an Astro project" >&2
    exit 1
fi

# Yours: written once, kept from then on.
keep() {
    [ -e "$project/$2" ] || cp "$1" "$project/$2"
}
mkdir -p "$project/.astro" "$project/dags" "$project/plugins" "$project/include/policies" "$project/tests"
keep "$here/project/.astro/config.yaml" .astro/config.yaml
keep "$here/project/Dockerfile" Dockerfile
keep "$here/project/packages.txt" packages.txt
keep "$here/project/dockerignore" .dockerignore
keep "$here/project/gitignore" .gitignore
keep "$here/project/env" .env
keep "$here/project/airflow_settings.yaml" airflow_settings.yaml
keep "$here/project/docker-compose.override.yml" docker-compose.override.yml

# Ours: the same as in this checkout after every run.
replace() {
    rm -rf "${project:?}/$2"
    cp -R "$1" "$project/$2"
}
replace "$source/dags" dags/redis_ttl_dags
replace "$source/plugins/redis_ttl" plugins/redis_ttl
replace "$source/plugins/redis_ttl_plugin.py" plugins/redis_ttl_plugin.py
replace "$source/include/policies/examples" include/policies/examples
find "$project/dags/redis_ttl_dags" "$project/plugins/redis_ttl" -name __pycache__ -type d -prune -exec rm -rf {} +

# The image brings Airflow. A version of it that is asked for here could replace the image's own.
wanted=$(grep -v '^apache-airflow[=<>]' "$source/requirements.txt")
if [ ! -e "$project/requirements.txt" ]; then
    printf '%s\n' "$wanted" >"$project/requirements.txt"
fi
# A plugins folder may have an ignore list of its own already.
touch "$project/plugins/.airflowignore"
grep -qx 'redis_ttl/' "$project/plugins/.airflowignore" || echo 'redis_ttl/' >>"$project/plugins/.airflowignore"

printf '%s\n' "$wanted" | grep -v '^#' | while read -r line; do
    [ -z "$line" ] || grep -qxF "$line" "$project/requirements.txt" || echo "note: requirements.txt lacks: $line"
done
echo "$project is ready. Next: a policy in include/policies/, its connection in airflow_settings.yaml, then: cd $project && astro dev start"

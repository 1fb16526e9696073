"""Shows the mistakes of policy files as an import error of Airflow. It defines no DAG.

It is a file of its own because Airflow hides every DAG of a file that has an import error: with one cluster's policy
broken, the others go on.
"""

from redis_ttl.tasks.policies import refuse_broken_policies

refuse_broken_policies()

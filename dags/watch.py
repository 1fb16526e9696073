"""The Airflow DAGs ``redis_ttl.<cluster>.watch``, one for each policy file. What is wrong with a policy is shown by
``policies.py``.
"""

from redis_ttl.tasks.policies import policies_to_parse
from redis_ttl.tasks.watch.dag import build_watch_dag

for policy in policies_to_parse("watch"):
    build_watch_dag(policy)

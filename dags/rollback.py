"""The Airflow DAGs ``redis_ttl.<cluster>.rollback``, one for each policy file. What is wrong with a policy is shown by
``policies.py``.
"""

from redis_ttl.tasks.policies import policies_to_parse
from redis_ttl.tasks.rollback.dag import build_rollback_dag

for policy in policies_to_parse("rollback"):
    build_rollback_dag(policy)

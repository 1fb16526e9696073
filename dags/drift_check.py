"""The Airflow DAGs ``redis_ttl.<cluster>.drift_check``, one for each policy file. What is wrong with a policy is shown by
``policies.py``.
"""

from redis_ttl.tasks.drift_check.dag import build_drift_check_dag
from redis_ttl.tasks.policies import policies_to_parse

for policy in policies_to_parse("drift_check"):
    build_drift_check_dag(policy)

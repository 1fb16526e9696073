"""The Airflow DAGs ``redis_ttl.<cluster>.remediate``, one for each policy file. What is wrong with a policy is shown by
``policies.py``.
"""

from redis_ttl.tasks.policies import policies_to_parse
from redis_ttl.tasks.remediate.dag import build_remediate_dag

for policy in policies_to_parse("remediate"):
    build_remediate_dag(policy)

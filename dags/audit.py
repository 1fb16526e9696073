"""The Airflow DAGs ``redis_ttl.<cluster>.audit``, one for each policy file. What is wrong with a policy is shown by
``policies.py``.
"""

from redis_ttl.tasks.audit.dag import build_audit_dag
from redis_ttl.tasks.policies import policies_to_parse

for policy in policies_to_parse("audit"):
    build_audit_dag(policy)

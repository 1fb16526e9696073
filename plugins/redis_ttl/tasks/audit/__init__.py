"""The DAG that audits."""

"""The DAG that looks every few minutes."""

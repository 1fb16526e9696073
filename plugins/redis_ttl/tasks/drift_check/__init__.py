"""The DAG that compares an audit with the baseline."""

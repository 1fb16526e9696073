"""The DAG that plans, asks, writes and verifies."""

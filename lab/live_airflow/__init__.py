"""A complete Airflow of one's own, on loopback."""

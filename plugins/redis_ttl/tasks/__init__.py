"""The face in Airflow, and the only ring that imports it."""

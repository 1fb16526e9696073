"""The face in a terminal: the same use cases without Airflow."""

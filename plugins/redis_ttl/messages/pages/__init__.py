"""The pages that Airflow and the terminal show."""

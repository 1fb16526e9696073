"""``make demo``: a local server with the incident's keys, a complete Airflow and the first audit, in one command.

It drives the project from the outside, as a user
does: through its command line, Airflow's REST API and the documents of an audit.
"""

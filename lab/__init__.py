"""What demo, bench, proof and tests share: real servers, a real Airflow, and stand-ins for what lies outside.

It knows nothing of pytest, and the product knows nothing of it.
"""

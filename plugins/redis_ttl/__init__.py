"""Keeps Redis keyspaces free of keys that never expire.

The rings, innermost first: ``domain`` (what things are), ``usecases`` (what the program does), ``adapters`` (the libraries it needs),
``messages`` (facts as text), and the faces ``tasks`` (Airflow) and ``cli`` (terminal) that wire them together.
"""

__version__ = "0.1.0"

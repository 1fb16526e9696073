"""The keyspace and the messages of the incident that the demo loads."""

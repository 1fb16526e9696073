"""`redis-ttl audit`, and the scanning that `redis-ttl plan` does first."""

"""Keys without TTL that are new since the baseline."""

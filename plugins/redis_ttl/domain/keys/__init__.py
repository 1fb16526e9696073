"""Names of keys, and the patterns that they fold to."""

"""Names in columns: folded, governed and counted by polars."""

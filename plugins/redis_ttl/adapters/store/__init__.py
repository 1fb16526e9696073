"""Documents in folders and buckets."""

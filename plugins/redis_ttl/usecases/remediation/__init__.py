"""A plan written, part by part, and verified."""

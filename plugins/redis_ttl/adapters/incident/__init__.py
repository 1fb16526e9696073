"""The incident loaded into a server."""

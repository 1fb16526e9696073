"""The only ring that knows libraries: Redis connections, columns, YAML, the document store."""

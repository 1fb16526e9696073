"""Facts as text for people. Knows the domain's documents, and nothing of where they come from."""

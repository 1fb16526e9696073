"""The entries of a policy file: which keys each has, and what it becomes."""

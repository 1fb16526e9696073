"""Which documents there are, and what they are called."""

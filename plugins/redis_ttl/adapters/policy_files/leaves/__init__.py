"""What a single text in a policy file may be, and the value that it becomes. Knows nothing of the entries around it."""

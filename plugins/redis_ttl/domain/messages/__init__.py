"""The facts of a message, and to whom they go and when."""

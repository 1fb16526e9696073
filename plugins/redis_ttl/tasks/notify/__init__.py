"""What tells people, over which channels."""

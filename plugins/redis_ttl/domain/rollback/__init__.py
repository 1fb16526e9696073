"""The journal of what was written, and how it is taken back."""

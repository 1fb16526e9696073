"""Keys written, restored and verified."""

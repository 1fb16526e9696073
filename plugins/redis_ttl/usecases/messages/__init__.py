"""Messages composed, and sent once."""

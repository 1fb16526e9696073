"""Redis-compatible servers of one's own, on loopback."""

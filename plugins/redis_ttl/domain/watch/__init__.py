"""Memory and bursts, as a watch sees them every few minutes."""

"""One look at a deployment."""

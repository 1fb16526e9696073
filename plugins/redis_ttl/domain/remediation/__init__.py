"""The approval of a plan, and the account of its writing."""

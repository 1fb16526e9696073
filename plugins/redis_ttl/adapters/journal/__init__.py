"""Journals as they lie in the store."""

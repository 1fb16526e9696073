"""Decisions, instants and journals in columns."""

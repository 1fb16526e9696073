"""What was written taken back, from its journal."""

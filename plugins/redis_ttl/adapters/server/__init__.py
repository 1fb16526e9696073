"""What is asked of a server: profiles, scans, facts of keys."""

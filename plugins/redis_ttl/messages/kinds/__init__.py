"""Each kind of message: its parts, from its facts."""

"""What a plan means to write, what it rests on, and what comes of it."""

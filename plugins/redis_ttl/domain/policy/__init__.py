"""What a policy says, and the durations, rates and loads that people write."""

"""What an audit finds: servers, shards, statistics of patterns."""

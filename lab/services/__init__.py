"""Stand-ins for what lies outside: object stores, Slack, a mail server, another worker."""

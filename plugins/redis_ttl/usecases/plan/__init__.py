"""From an audit to an approved plan."""

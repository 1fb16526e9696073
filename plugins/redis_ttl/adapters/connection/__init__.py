"""Sockets, replies and the topology of servers."""

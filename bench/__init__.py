"""How fast an audit is, beside what else could read the same keyspace, and how much the server's users feel of it.

Everything is measured in one run against one real server that the benchmark starts itself, and what is promised is a
ratio of two figures of that run: a figure of one machine says little about another.
"""

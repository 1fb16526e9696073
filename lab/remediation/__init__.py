"""A remediation and its rollback in this process, without an audit and without people."""

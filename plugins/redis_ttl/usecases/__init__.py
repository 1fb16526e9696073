"""What the program does, one verb a module, through the ports of :mod:`redis_ttl.usecases.ports`."""

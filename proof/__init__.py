"""The whole way on the whole incident: audit, plan, approval, TTLs, verification, rollback, held against the server key by key."""

"""Several services on one ledger and one node: how long a takeover takes, and that nothing is lost by it."""

"""HTTP in: one module for each resource, thin.

A route checks the shape of a request, hands a command to the ledger's writer or a query to a reader, and shapes the
answer. Rules live in `exchange`, commands and queries in `bridge.store`, everything about the chain behind
`bridge.posting`.
"""

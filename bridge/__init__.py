"""The service around the points exchange: everything that does I/O.

The rooms import one way: `api` and `cli` stand on `posting`, which stands on `store` (the ledger database) and `chain`
(the EVM); those two never import each other. Rules of the business live in the package `exchange`, not here.
"""

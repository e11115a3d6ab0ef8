"""Posting exactly once: from accepted operations in the ledger to final blocks on the chain, and back.

`poster` freezes, signs, stores and sends; `follower` reads blocks by hash; `intake` writes what a block says into the
ledger; `reconciler` compares the two, and `keeper` does what is due by time. `leadership` says which of them this
process runs, of all that share a ledger, and `fenced` refuses what it writes where it no longer does. This room alone
knows both the ledger (`bridge.store`) and the chain (`bridge.chain`).
"""

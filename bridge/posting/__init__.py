"""Posting exactly once: from accepted operations in the ledger to final blocks on the chain, and back.

`poster` freezes, signs, stores and sends; `follower` reads blocks by hash; `intake` writes what a block says into the
ledger; `reconciler` compares the two. This room alone knows both the ledger (`bridge.store`) and the chain
(`bridge.chain`).
"""

"""A deterministic simulation of the whole service: one seed drives clients, chain, node, clock and crashes.

What is real here: accepting, the ledger on SQLite, freezing, the poster, the follower, intake and the reconciler, and
the decoding of JSON-RPC. What is played: the chain with its mempool and miners, the wire to the node, the signer, the
clock, randomness, and the partners' systems. Nothing here knows what the service intends; the oracle counts what the
chain was told and what the clients were answered.
"""

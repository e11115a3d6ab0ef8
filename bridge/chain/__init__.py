"""The EVM side of the service: RPC, contract calls and events, signing, finality, and the embedded chain.

Everything here speaks in blocks, transactions and bytes. It knows nothing of members, operations or the
ledger's tables: what must survive a wiped chain reaches it through the protocol in `journal`, and who decides
what to send, and when, lives in `bridge.posting`. web3 and eth_account are imported only when first used.
"""

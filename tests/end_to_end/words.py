"""What the chain carried, read from the calls in its blocks: what no ledger and no service has a say in."""

from collections import defaultdict

from bridge.chain import contracts
from bridge.chain.rpc import Rpc
from exchange.words import PostedWord, read_words

Words = dict[tuple[bytes, bytes], list[PostedWord]]
"""By token (of a swap, the first on its way) and tag."""


def words_on_chain(rpc: Rpc) -> Words:
    """Every word that a transaction brought to the chain which did not revert."""
    found: Words = defaultdict(list)
    for number in range(1, rpc.head_number() + 1):
        block = rpc.block(number)
        assert block is not None, f"the chain lost block {number}"
        calls, receipts = rpc.sent_calls(block.transactions), rpc.receipts(block.transactions)
        for call, receipt in zip(calls, receipts, strict=True):
            assert call is not None and receipt is not None, f"the node shows not all of block {number}"
            if receipt.status != 1 or call.to is None:
                continue
            if (post := contracts.decode_post(call.data)) is not None:
                token, words = call.to, post.words
            elif (settle := contracts.decode_settle(call.data)) is not None:
                token, words = settle.path[0], settle.words
            else:
                continue
            for word in read_words(words):
                found[token, word.tag].append(word)
    return found

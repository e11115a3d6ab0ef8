"""An independent count: what the blocks of the chain carried, word by word, beside what was asked for."""

import json
from collections import Counter

from bridge.chain import contracts
from exchange.words import PostedWord, read_words
from tests.bridge.posting.conftest import Office


def carried(office: Office) -> Counter[bytes]:
    """How often the chain carried each tag, in transactions that it did not refuse."""
    counted: Counter[bytes] = Counter()
    for mined in office.chain.blocks:
        for raw, receipt in zip(mined.raw, mined.receipts, strict=True):
            if receipt.status == 1:
                counted.update(word.tag for word in words_of(raw))
    return counted


def words_of(raw: bytes) -> list[PostedWord]:
    """The words of one transaction; none of one that posts nothing."""
    data = bytes.fromhex(json.loads(raw)["data"])
    found = contracts.decode_post(data) or contracts.decode_settle(data)
    return [] if found is None else read_words(found.words)


def require_once(office: Office, *operation_ids: str, total: int) -> None:
    """Each of these is final, the chain carried it exactly once and nothing else, and its balances make `total`."""
    assert set(office.states(*operation_ids)) == {"final"}, office.states(*operation_ids)
    assert carried(office) == Counter(office.ledger.operation(each).tag for each in operation_ids)
    assert office.chain.state.balances.total() == total
    assert office.reconciler.audit().differences == 0
    assert office.breaker is None

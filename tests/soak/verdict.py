"""The count at the end: what the clients were told, held against the words and balances on the chain."""

from collections import Counter
from dataclasses import dataclass, field

from bridge.chain import contracts
from bridge.chain.rpc import Rpc
from bridge.client import Client
from exchange.words import EntryKind, PostedWord, capture_tag, entry_tag
from tests.end_to_end.words import words_on_chain
from tests.soak.record import CAPTURE, EARN, REDEMPTION, REVERSAL, SWAP, Asked, Record
from tests.soak.town import Town

KINDS = {
    EARN: EntryKind.EARN,
    REDEMPTION: EntryKind.REDEMPTION,
    CAPTURE: EntryKind.REDEMPTION,
    SWAP: EntryKind.SWAP,
}
#: Violations that are shown one by one.
SHOWN_MAX = 20


@dataclass
class Verdict:
    """What was found wrong, and how much was looked at."""

    violations: list[str] = field(default_factory=list)
    blocks: int = 0
    words: int = 0
    failed: int = 0

    def told(self) -> str:
        """In a few lines."""
        seen = f"{self.words} words in {self.blocks} blocks of the chain"
        if not self.violations:
            return f"{seen}: each accepted request has exactly one effect, each balance is what its customer reckons"
        shown = [f"  {one}" for one in self.violations[:SHOWN_MAX]]
        return "\n".join([f"{seen}: {len(self.violations)} violations", *shown])


def judge(town: Town, record: Record, rpc: Rpc) -> Verdict:
    """Count everything. To be called at rest: everything accepted is final."""
    verdict = Verdict(violations=list(record.wrong))
    with town.service.client() as operator:
        tokens = {one: bytes.fromhex(str(operator.program(one)["token"])[2:]) for one in town.keys}
        states = {one["id"]: one["state"] for one in operator.operations()}
        audit = operator.audit()
    if audit["differences"]:
        verdict.violations.append(f"the audit finds {audit['differences']} differences: {audit}")
    carried = words_on_chain(rpc)
    verdict.blocks, verdict.words = rpc.head_number(), sum(map(len, carried.values()))
    done = []
    for asked, operation_id in record.accepted.items():
        state = states.pop(operation_id, "unknown")
        words = carried.pop((tokens[asked.program], tag_of(asked)), [])
        if state == "failed" and asked.kind == SWAP and not words:
            verdict.failed += 1
        elif told := wrong_of(asked, state, words):
            verdict.violations.append(f"{asked}: {told}")
        else:
            done.append(asked)
    verdict.violations += [f"the ledger has operation {one}, which nobody was promised" for one in states]
    verdict.violations += [f"the chain carried {words}, which nobody was promised" for words in carried.values()]
    _balances(town, done, rpc, tokens, verdict)
    return verdict


def wrong_of(asked: Asked, state: str, words: list[PostedWord]) -> str | None:
    """What is wrong with an accepted request, or None: one word for each of the accounts that it touches, no more."""
    if state != "final":
        return f"was accepted, and is {state} with {len(words)} words"
    accounts = [word.reference for word in words]
    total = sum(word.amount for word in words)
    if {word.kind for word in words} != {kind_of(asked)} or total != asked.points:
        return f"the chain carried {total} points in {len(words)} words"
    if asked.kind != SWAP and len(set(accounts)) < len(accounts):
        return "the chain carried it more than once"
    return None


def tag_of(asked: Asked) -> bytes:
    """What tells the words of a request from all others of its program."""
    if asked.kind == CAPTURE:
        return capture_tag(asked.program, asked.of, asked.key)
    return entry_tag(asked.program, asked.key)


def kind_of(asked: Asked) -> EntryKind:
    """What the words of an accepted request are on the chain."""
    if asked.kind == REVERSAL:
        return EntryKind.REVERSAL if asked.of == EARN else EntryKind.REINSTATEMENT
    return KINDS[asked.kind]


def _balances(town: Town, done: list[Asked], rpc: Rpc, tokens: dict[str, bytes], verdict: Verdict) -> None:
    expected: Counter[tuple[str, str]] = Counter()
    for one in done:
        expected[one.program, one.member] += one.points if kind_of(one).is_credit else -one.points
        if one.kind == SWAP:
            expected[one.to_program, one.member] += one.points_out
    for program, token in tokens.items():
        with town.service.client(town.keys[program]) as client:
            ids = {number: _member_id(client, number) for number in town.members}
            held = {number: _held(client, ids[number], rpc, token) for number in town.members}
            left = [one for each in ids.values() for one in client.holds(each) if one["state"] == "open"]
        verdict.violations += [f"a hold is still open, though it was captured for good: {one}" for one in left]
        supply = contracts.decode_uint(rpc.call(token, contracts.encode_total_supply()))
        wanted = {number: expected[program, number] for number in town.members}
        if held != wanted or supply != sum(wanted.values()):
            verdict.violations.append(f"{program}: the chain holds {held} of {supply}, the customers reckon {wanted}")


def _member_id(client: Client, number: str) -> str:
    (member,) = client.members(member_number=number)
    return member["id"]


def _held(client: Client, member_id: str, rpc: Rpc, token: bytes) -> int:
    """What the token says that a member's accounts hold."""
    total = 0
    for account in client.balance(member_id)["accounts"]:
        data = contracts.encode_balance_of(bytes.fromhex(account["address"][2:]))
        total += contracts.decode_uint(rpc.call(token, data))
    return total

"""API keys: shown once, two at a time, ended at once."""

import pytest

from bridge.store import keys
from bridge.store.keys import PERSON_LENGTH_MAX, PersonNeeded, TooManyKeys, UnknownKey
from bridge.store.programs import Program
from bridge.store.texts import UnfitText
from exchange.errors import Unauthenticated
from tests.bridge.store.ledgers import Ledger


def _create(ledger: Ledger, program: Program | None, *scopes: str) -> tuple[keys.ApiKey, str]:
    program_id = None if program is None else program.id
    return ledger.do(keys.create, program_id=program_id, scopes=scopes, now_ms=ledger.now_ms)


def test_authenticate__with_the_text_that_was_shown__says_whose_key_it_is(ledger: Ledger, air: Program) -> None:
    made, text = _create(ledger, air, "redeem", "earn")
    assert text.startswith("sarraf_")
    found = ledger.ask(keys.authenticate, text)
    assert found == made
    assert (found.program_id, found.scopes) == (air.id, frozenset({"earn", "redeem"}))


def test_create__of_a_key__stores_no_secret(ledger: Ledger, air: Program) -> None:
    _, text = _create(ledger, air, "earn")
    assert text.rpartition("_")[2] not in repr(ledger.everything())


def test_create__of_a_third_live_key__is_refused_until_one_is_revoked(ledger: Ledger, air: Program) -> None:
    first, old = _create(ledger, air, "earn", "redeem")
    _, new = _create(ledger, air, "redeem", "earn")
    with pytest.raises(TooManyKeys) as refused:
        _create(ledger, air, "earn", "redeem")
    assert refused.value.limit == 2
    for text in (old, new):
        ledger.ask(keys.authenticate, text)
    ledger.do(keys.revoke, first.id, ledger.now_ms)
    _create(ledger, air, "earn", "redeem")


def test_create__with_other_scopes_or_for_another_program__has_a_count_of_its_own(
    ledger: Ledger, air: Program, box: Program
) -> None:
    for _ in range(2):
        _create(ledger, air, "earn")
        _create(ledger, air, "earn", "redeem")
        _create(ledger, box, "earn")
        _create(ledger, None, "earn")
    with pytest.raises(TooManyKeys):
        _create(ledger, None, "earn")


def test_revoke__of_a_key__ends_it_at_once(ledger: Ledger, air: Program) -> None:
    made, text = _create(ledger, air, "earn")
    ledger.do(keys.revoke, made.id, ledger.now_ms)
    with pytest.raises(Unauthenticated):
        ledger.ask(keys.authenticate, text)
    for key_id in (made.id, "key_none"):
        with pytest.raises(UnknownKey):
            ledger.do(keys.revoke, key_id, ledger.now_ms)


def test_authenticate__with_anything_wrong__answers_in_the_same_words(ledger: Ledger, air: Program) -> None:
    made, text = _create(ledger, air, "earn")
    other, _ = _create(ledger, air, "redeem")
    short_id, secret = made.id.removeprefix("key_"), text.rpartition("_")[2]
    wrong = [
        "",
        "sarraf",
        "sarraf__",
        f"sarraf_{short_id}_",
        f"sarraf_{short_id}_{secret[:-1]}",
        f"sarraf_{short_id}_{secret}0",
        f"sarraf_{other.id.removeprefix('key_')}_{secret}",
        f"sarraf_{'0' * 32}_{secret}",
        f"other_{short_id}_{secret}",
        "sarraf_ä_ö",
    ]
    details = set()
    for each in wrong:
        with pytest.raises(Unauthenticated) as refused:
            ledger.ask(keys.authenticate, each)
        details.add(refused.value.detail)
    assert len(details) == 1


def _of_person(ledger: Ledger, program: Program, person: str | None, *scopes: str) -> keys.ApiKey:
    made = ledger.do(keys.create, program_id=program.id, scopes=scopes, now_ms=ledger.now_ms, person=person)
    return made[0]


@pytest.mark.parametrize("scope", keys.SCOPES_OF_PERSONS)
def test_create__of_a_key_that_proposes_or_approves__needs_a_person(ledger: Ledger, air: Program, scope: str) -> None:
    with pytest.raises(PersonNeeded):
        _of_person(ledger, air, None, "read", scope)
    for wrong in ("", "  ", "a\nb", "a\u200bb", "x" * (PERSON_LENGTH_MAX + 1)):
        with pytest.raises(UnfitText):
            _of_person(ledger, air, wrong, scope)
    assert _of_person(ledger, air, " Ann Lee ", scope).person == "Ann Lee"
    assert _of_person(ledger, air, None, "read").person is None
    assert scope not in keys.SCOPES_OF_OPERATOR and "operator" not in keys.SCOPES_OF_PROGRAMS


def test_create__of_keys_of_several_persons__counts_each_persons_own(ledger: Ledger, air: Program) -> None:
    for person in ("Ann", "Bob"):
        for spelt in (person, person.upper()):
            _of_person(ledger, air, spelt, "adjust")
        with pytest.raises(TooManyKeys):
            _of_person(ledger, air, f" {person.lower()} ", "adjust")

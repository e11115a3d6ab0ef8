"""The client: what it sends, what it repeats, and how it says that something went wrong."""

import ast
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx2
import pytest

import bridge.client
from bridge.answers import EarningRate
from bridge.client import (
    ATTEMPTS_MAX,
    BACKOFF_S_MAX,
    Client,
    ProblemAnswer,
    ServiceUnreachable,
    UnexpectedAnswer,
)
from tests.bridge.fake_service import OPERATOR_KEY, FakeService, Reply, listening

Handler = Callable[[httpx2.Request], httpx2.Response]


class _Script:
    """Answers in turn, the last one again and again, and remembers what was asked."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self) -> Client:
        return Client(
            "http://sarraf.test/",
            "sarraf_id_secret",
            transport=httpx2.MockTransport(self),
            sleep=self.pauses.append,
            chance=lambda: 1.0,
        )


def _busy(status: int = 503, **headers: str) -> httpx2.Response:
    body = {"type": "urn:sarraf:problem:busy", "detail": "come back later"}
    return httpx2.Response(status, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


OPERATION = {"id": "op_1", "kind": "redemption", "points": 5, "state": "accepted"}


def test_request__with_a_key__then_carries_it_as_bearer() -> None:
    script = _Script(httpx2.Response(200, json={"id": "prg_1"}))

    with script.client() as client:
        assert client.program("prg_1")["id"] == "prg_1"

    assert script.requests[0].headers["authorization"] == "Bearer sarraf_id_secret"
    assert str(script.requests[0].url) == "http://sarraf.test/v1/programs/prg_1"


def test_request__with_an_odd_id__then_stays_one_path_segment() -> None:
    script = _Script(httpx2.Response(200, json={}))

    with script.client() as client:
        client.member("../keys?x=1")

    assert script.requests[0].url.raw_path == b"/v1/members/..%2Fkeys%3Fx%3D1"


def test_redeem__with_key_and_wait__then_sends_both_headers_and_tells_a_replay() -> None:
    script = _Script(httpx2.Response(200, json=OPERATION, headers={"Idempotency-Replayed": "true"}))

    with script.client() as client:
        posted = client.redeem("900", key="coupon-1", points=5, wait_s=30)

    assert posted.replayed
    assert posted.operation["id"] == "op_1"
    assert script.requests[0].headers["idempotency-key"] == "coupon-1"
    assert script.requests[0].headers["prefer"] == "wait=30"


def test_problem__when_refused__then_carries_field_limit_nearest_and_slug() -> None:
    problem = {
        "type": "urn:sarraf:problem:insufficient-points",
        "title": "Insufficient points",
        "status": 409,
        "detail": "200 points asked for, 150 there",
        "field": "points",
        "limit": 150,
        "nearest": 150,
        "request_id": "req_7",
    }
    script = _Script(httpx2.Response(409, json=problem))

    with script.client() as client, pytest.raises(ProblemAnswer, match="150 there") as caught:
        client.redeem("900", key="coupon-1", points=200)

    error = caught.value
    assert (error.status, error.type, error.field) == (409, "insufficient-points", "points")
    assert (error.limit, error.nearest, error.request_id) == (150, 150, "req_7")
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(502, text="<html>bad gateway</html>"),
        httpx2.Response(404, json={"message": "not here"}),
        httpx2.Response(200, text="hello"),
        httpx2.Response(200, json=[1]),
    ],
)
def test_answer__when_not_of_this_api__then_is_unexpected(answer: httpx2.Response) -> None:
    with _Script(answer).client() as client, pytest.raises(UnexpectedAnswer):
        client.status()


REPEATABLE: list[Callable[[Client], object]] = [
    lambda client: client.status(),
    lambda client: client.enrol("900"),
    lambda client: client.earn_bulk([{"event_id": "e1", "member_number": "900", "spend_minor": 5}]),
    lambda client: client.earn("900", key="k", spend_minor=5),
    lambda client: client.earn("900", key="k", spend_minor=5, available_at="2026-12-01T00:00:00Z"),
    lambda client: client.change_earn("op_1", key="k", points=5),
    lambda client: client.cancel_earn("op_1", key="k"),
    lambda client: client.set_notices("prg_1", [30, 7]),
    lambda client: client.redeem("900", key="k", points=5),
    lambda client: client.reverse("op_1", key="k", points=5),
    lambda client: client.set_debt_limit("prg_1", 5),
    lambda client: client.swap("quo_1", key="k"),
    lambda client: client.quote(to_program_id="prg_2", member_number="900", amount_in=5),
    lambda client: client.link_code("mbr_1"),
    lambda client: client.set_point_value("prg_1", money="USD", point_value_micro=None),
]
SENT_ONCE: list[Callable[[Client], object]] = [
    lambda client: client.create_program(
        name="A", symbol="A", currency="a", earning_rate={"points": 1, "per_minor_units": 1}
    ),
    lambda client: client.create_key("prg_1", ["earn"]),
    lambda client: client.link(["a", "b"]),
    lambda client: client.consent("trm_1"),
    lambda client: client.readiness(),
]


@pytest.mark.parametrize("call", REPEATABLE)
@pytest.mark.parametrize(
    "trouble", [httpx2.ConnectError("refused"), httpx2.ReadTimeout("slow"), _busy(503), _busy(429)]
)
def test_repeatable_call__when_trouble_passes__then_succeeds(
    call: Callable[[Client], object], trouble: httpx2.Response | Exception
) -> None:
    script = _Script(trouble, trouble, httpx2.Response(200, json={}))

    with script.client() as client:
        call(client)

    assert len(script.requests) == 3
    assert len({request.content for request in script.requests}) == 1


@pytest.mark.parametrize("call", SENT_ONCE)
def test_other_call__when_the_connection_fails__then_is_not_repeated(
    call: Callable[[Client], object],
) -> None:
    script = _Script(httpx2.ReadError("lost"))

    with script.client() as client, pytest.raises(ServiceUnreachable, match="lost"):
        call(client)

    assert len(script.requests) == 1


def test_repeatable_call__when_trouble_stays__then_gives_up_after_bounded_pauses() -> None:
    script = _Script(httpx2.ConnectError("refused"))

    with script.client() as client, pytest.raises(ServiceUnreachable, match=r"http://sarraf\.test"):
        client.status()

    assert len(script.requests) == ATTEMPTS_MAX
    assert script.pauses == sorted(script.pauses)
    assert len(script.pauses) == ATTEMPTS_MAX - 1
    assert max(script.pauses) <= BACKOFF_S_MAX


def test_repeatable_call__when_busy_to_the_end__then_raises_the_problem() -> None:
    script = _Script(_busy())

    with script.client() as client, pytest.raises(ProblemAnswer, match="come back later"):
        client.status()

    assert len(script.requests) == ATTEMPTS_MAX


def test_busy__with_retry_after__then_waits_as_told() -> None:
    script = _Script(_busy(429, Retry_After="7"), httpx2.Response(200, json={}))

    with script.client() as client:
        client.status()

    assert script.pauses == [7.0]


def test_busy__with_a_date__then_waits_until_then() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=10), usegmt=True)
    script = _Script(_busy(503, Retry_After=at), httpx2.Response(200, json={}))

    with script.client() as client:
        client.status()

    assert 8 <= script.pauses[0] <= 10


def test_busy__when_told_to_wait_too_long__then_raises_at_once() -> None:
    script = _Script(_busy(429, Retry_After="3600"))

    with script.client() as client, pytest.raises(ProblemAnswer):
        client.status()

    assert script.pauses == []


def test_busy__with_an_unreadable_retry_after__then_backs_off() -> None:
    script = _Script(_busy(503, Retry_After="soon"), httpx2.Response(200, json={}))

    with script.client() as client:
        client.status()

    assert len(script.pauses) == 1


def test_lists__with_several_pages__then_follow_the_cursor() -> None:
    script = _Script(
        httpx2.Response(200, json={"items": [{"id": "op_1"}], "next": "c1", "previous": None}),
        httpx2.Response(200, json={"items": [{"id": "op_2"}], "next": None, "previous": "c0"}),
    )

    with script.client() as client:
        found = [operation["id"] for operation in client.operations(kind="swap")]

    assert found == ["op_1", "op_2"]
    assert dict(script.requests[0].url.params) == {"kind": "swap", "limit": "200"}
    assert script.requests[1].url.params["cursor"] == "c1"


def test_quote__with_one_amount__then_sends_only_what_was_given() -> None:
    script = _Script(httpx2.Response(201, json={"id": "quo_1"}))

    with script.client() as client:
        client.quote(to_program_id="prg_2", member_id="mbr_1", amount_out=10)

    assert script.requests[0].content == b'{"to_program_id":"prg_2","member_id":"mbr_1","amount_out":10}'


def test_readiness__when_not_ready__then_is_an_answer() -> None:
    body = {"checks": [{"name": "chain", "ok": False, "detail": "starting"}]}

    with _Script(httpx2.Response(503, json=body)).client() as client:
        ready, readiness = client.readiness()

    assert not ready
    assert readiness["checks"][0]["name"] == "chain"


def _events(*numbers: int) -> httpx2.Response:
    text = ": hello\n\n" + "".join(
        f'id: {n}\nevent: operation\ndata: {{"operation_id": "op_{n}"}}\n\n' for n in numbers
    )
    return httpx2.Response(200, text=text, headers={"Content-Type": "text/event-stream"})


def test_watch__when_the_stream_breaks__then_goes_on_after_the_last_event() -> None:
    script = _Script(_events(1, 2), httpx2.ReadError("lost"), _events(3))
    seen: list[str] = []

    with script.client() as client:
        for cursor, event in client.watch():
            seen.append(f"{cursor}:{event['operation_id']}")
            if len(seen) == 3:
                break

    assert seen == ["1:op_1", "2:op_2", "3:op_3"]
    assert "last-event-id" not in script.requests[0].headers
    assert script.requests[2].headers["last-event-id"] == "2"


def test_watch__when_nothing_ever_comes__then_gives_up() -> None:
    script = _Script(_events())

    with script.client() as client, pytest.raises(ServiceUnreachable, match="again and again"):
        list(client.watch(after="7"))

    assert len(script.requests) == ATTEMPTS_MAX
    assert script.requests[0].headers["last-event-id"] == "7"


def test_watch__when_refused__then_raises_the_problem() -> None:
    with _Script(_busy(403)).client() as client, pytest.raises(ProblemAnswer):
        list(client.watch())


@pytest.fixture
def url() -> Iterator[str]:
    with listening(FakeService()) as url:
        yield url


def test_client__over_a_real_connection__then_creates_enrols_and_reads(url: str) -> None:
    with Client(url, OPERATOR_KEY) as operator:
        rate: EarningRate = {"points": 1, "per_minor_units": 100}
        program = operator.create_program(name="A", symbol="AAA", currency="a points", earning_rate=rate)
        key = operator.create_key(program["id"], ["members", "earn"])["key"]
        assert [p["symbol"] for p in operator.programs()] == ["AAA"]
        with Client(url, key) as client:
            first, again = client.enrol("900"), client.enrol("900")
            assert (first.created, again.created) == (True, False)
            assert first.member["id"] == again.member["id"]
            answer = client.earn_bulk([{"event_id": "e1", "member_number": "900", "spend_minor": 250}])
            assert answer["counts"]["accepted"] == 1
            assert client.balance(first.member["id"])["posted"] == 2


def test_client__through_a_proxy_in_the_environment__then_loopback_is_called_directly(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")

    with Client(url, OPERATOR_KEY) as client:
        assert client.status()["version"]


def test_client__when_nobody_listens__then_says_where_it_looked() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pauses: list[float] = []

    with (
        Client(f"http://127.0.0.1:{port}", "k", sleep=pauses.append) as client,
        pytest.raises(ServiceUnreachable, match=str(port)),
    ):
        client.status()
    assert len(pauses) == ATTEMPTS_MAX - 1


def test_revoke_key__when_done__then_needs_no_body() -> None:
    script = _Script(httpx2.Response(204))

    with script.client() as client:
        client.revoke_key("key_1")

    assert script.requests[0].method == "DELETE"


def test_service_error__when_500__then_is_a_problem_and_not_repeated() -> None:
    service = FakeService()
    problem = {"type": "urn:sarraf:problem:internal", "detail": "a bug"}
    service.broken = lambda _method, _path: Reply(500, problem)

    with (
        Client("http://sarraf.test", OPERATOR_KEY, transport=service.transport) as client,
        pytest.raises(ProblemAnswer, match="a bug"),
    ):
        client.status()
    assert len(service.calls) == 1


@pytest.mark.parametrize("module", ["client.py", "answers.py", *(f"demo/{n}.py" for n in ("run", "setup"))])
def test_imports__of_client_and_demo__then_hold_nothing_of_the_service(module: str) -> None:
    path = Path(bridge.client.__file__).parent / module
    imported = {
        name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    for name in imported:
        if name.startswith("bridge"):
            assert name.split(".")[1] in {"answers", "client", "demo"}, name
        assert not name.startswith("exchange"), name

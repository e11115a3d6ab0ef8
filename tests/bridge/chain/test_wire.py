"""What a server may do with a connection: the wire keeps its time, its length, and sends nothing twice."""

import json
import threading
import time
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bridge.chain import wire
from bridge.chain.errors import ChainUnreachable
from bridge.chain.wire import Wire

TIMEOUT_S = 0.3
JOIN_S = 10.0


class Server:
    """Answers every request with its own id, in the manner that the path names."""

    def __init__(self) -> None:
        self.connections: set[tuple[str, int]] = set()
        self.asked = 0
        self.stopping = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = JOIN_S

            def do_POST(self) -> None:
                server.asked += 1
                server.connections.add(self.client_address)
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.answer(self, asked)

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def answer(self, to: BaseHTTPRequestHandler, asked: dict[str, object]) -> None:
        if to.path == "/silent":
            self.stopping.wait(JOIN_S)
            return
        said: dict[str, object] = {"jsonrpc": "2.0", "id": asked["id"], "result": "0x1"}
        if to.path.startswith("/error"):
            said = {"id": json.loads(to.path.removeprefix("/error/")), "error": {"code": 1, "message": "no"}}
        body = json.dumps(said).encode()
        status = 307 if to.path == "/elsewhere" else 200  # 307 asks to send the same again there
        declared = len(body) + 10 if to.path == "/cut" else len(body)
        to.send_response(status)
        to.send_header("Location", self.url)
        to.send_header("Content-Length", str(declared))
        to.end_headers()
        if to.path == "/trickle":
            self._trickle(to, body)
            return
        to.wfile.write(body)
        to.close_connection = to.path == "/cut"

    def _trickle(self, to: BaseHTTPRequestHandler, body: bytes) -> None:
        """A byte now and then, always within the client's patience for silence."""
        to.close_connection = True
        for byte in body:
            if self.stopping.wait(TIMEOUT_S / 6):
                return
            try:
                to.wfile.write(bytes([byte]))
            except OSError:
                return


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    serving = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    serving.start()
    yield server
    server.stopping.set()
    server.http.shutdown()
    serving.join(JOIN_S)
    server.http.server_close()


def test_wire__asked_again__keeps_its_connection(server: Server) -> None:
    wire = Wire(server.url, JOIN_S)
    for _ in range(5):
        assert wire.ask("eth_chainId", [])["result"] == "0x1"
    wire.close()
    assert (server.asked, len(server.connections)) == (5, 1)


def test_answer__that_trickles_in__is_given_up_in_time(server: Server) -> None:
    wire = Wire(server.url + "/trickle", TIMEOUT_S)
    began = time.monotonic()
    with pytest.raises(ChainUnreachable, match="not complete"):
        wire.ask("eth_chainId", [])
    assert time.monotonic() - began <= 2 * TIMEOUT_S + 0.5
    wire.close()


@pytest.mark.parametrize("path", ["/cut", "/elsewhere"])
def test_answer__cut_short_or_pointing_elsewhere__is_none__and_nothing_is_sent_again(server: Server, path: str) -> None:
    wire = Wire(server.url + path, JOIN_S)
    with pytest.raises(ChainUnreachable):
        wire.ask("eth_sendRawTransaction", ["0x"])
    wire.close()
    assert server.asked == 1


def test_error__without_an_id__is_the_answer__and_with_another_id_it_is_not(server: Server) -> None:
    nameless, strange = Wire(server.url + "/error/null", JOIN_S), Wire(server.url + "/error/99", JOIN_S)
    assert nameless.ask("eth_chainId", [])["error"] == {"code": 1, "message": "no"}
    with pytest.raises(ChainUnreachable, match="something else"):
        strange.ask("eth_chainId", [])
    nameless.close()
    strange.close()


def test_answer__longer_than_any__is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "ANSWER_BYTES_MAX", 10)
    asking = Wire(server.url, JOIN_S)
    with pytest.raises(ChainUnreachable, match="longer than 10 bytes"):
        asking.ask("eth_chainId", [])
    asking.close()


NODES = [
    ("http://user:SECRET@127.0.0.1:9/v3/SECRET?key=SECRET", "http://127.0.0.1:9 ", "was refused"),
    ("https://127.0.0.1:9/SECRET", "https://127.0.0.1:9 ", "was refused"),
    ("http://SECRET@[::1]:9/SECRET", "http://[::1]:9 ", "refused|failed"),
    ("http://.a..b/SECRET", "http://.a..b ", "not valid"),
    ("ftp://SECRET@node/SECRET", "ftp://node ", "not valid"),
    ("http://node:99999/SECRET", wire.UNREADABLE, "not valid"),
    ("http://[SECRET/SECRET", wire.UNREADABLE, "not valid"),
    ("SECRET", wire.UNREADABLE, "not valid"),
]


@pytest.mark.parametrize(("url", "named", "why"), NODES)
def test_failure__of_a_node_whose_url_holds_a_secret__names_only_where_it_is(url: str, named: str, why: str) -> None:
    asking = Wire(url, TIMEOUT_S)
    with pytest.raises(ChainUnreachable, match=why) as failure:
        asking.ask("eth_chainId", [])
    asking.close()
    assert named in failure.value.detail
    assert "SECRET" not in "".join(traceback.format_exception(failure.value))
    assert failure.value.__context__ is None, "what a library said would stand in the log"


def test_failure__of_silence_and_of_a_broken_connection__says_which(server: Server) -> None:
    silent, cut = Wire(server.url + "/silent", TIMEOUT_S), Wire(server.url + "/cut", JOIN_S)
    with pytest.raises(ChainUnreachable, match="it timed out"):
        silent.ask("eth_chainId", [])
    with pytest.raises(ChainUnreachable, match="broke off"):
        cut.ask("eth_chainId", [])
    silent.close()
    cut.close()

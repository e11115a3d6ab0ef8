"""The fault core as an HTTP server on loopback before a real node: what a client meets when the network is between."""

from __future__ import annotations

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

from tests.faults.answers import Kind, Lost, Odd, Refused
from tests.faults.faults import Faults

NODE_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 10.0
POLL_S: Final = 0.01
PAGE: Final = b"<html><body><h1>Bad gateway</h1></body></html>"
ID_SHIFT: Final = 1_000_000
"""How far the id of a wrong answer is from the one that was asked with."""


class FaultProxy:
    """Serves the node at `node_url` through `faults`, from entering the context to leaving it."""

    def __init__(self, node_url: str, faults: Faults) -> None:
        self.node_url = node_url
        self.faults = faults
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._serving = threading.Thread(target=self._server.serve_forever, args=(POLL_S,), name="fault-proxy")
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FaultProxy:
        self._serving.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.faults.clear()  # whoever is held goes, so that no thread stays
        self._server.shutdown()
        self._serving.join(STOP_TIMEOUT_S)
        assert not self._serving.is_alive(), "the proxy did not end"
        self._server.server_close()

    def forward(self, method: str, params: list[Any]) -> Any:
        """The node's own result, on a connection of its own. Raises Refused."""
        where = urlsplit(self.node_url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=NODE_TIMEOUT_S)
        try:
            asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
            connection.request("POST", where.path or "/", asked, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        if "error" in answer:
            error = answer["error"]
            raise Refused(error["code"], error["message"], error.get("data"))
        return answer["result"]

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request. Raises Refused, Lost and Odd."""
        result = self.faults.apply(asked["method"], asked["params"], self.forward)
        return {"jsonrpc": "2.0", "id": asked["id"], "result": result}


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # all of them have ended when the server is closed
    proxy: FaultProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """An asker that went away meanwhile is what tests do on purpose."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            status, body = self._answer(asked)
        except Lost:
            self.close_connection = True
            return  # the connection is closed without a word
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        # A truncated body comes with the length of the whole one's half: complete HTTP, incomplete JSON.
        self.wfile.write(body)

    def _answer(self, asked: Any) -> tuple[int, bytes]:
        if not isinstance(asked, list):
            return self._one(asked)
        parts = [self._one(each) for each in asked]
        whole = next((part for part in parts if part[0] != 200 or not _is_json(part[1])), None)
        if whole is not None:
            return whole
        answers = self.server.proxy.faults.shuffle([json.loads(body) for _, body in parts])
        return 200, json.dumps(answers).encode()

    def _one(self, asked: dict[str, Any]) -> tuple[int, bytes]:
        try:
            return 200, json.dumps(self.server.proxy.answer(asked)).encode()
        except Refused as said:
            error = {"code": said.code, "message": said.message}
            if said.data is not None:
                error["data"] = said.data
            return said.status, json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": error}).encode()
        except Odd as odd:
            return _spoilt(odd, asked["id"])

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def _spoilt(odd: Odd, asked_id: int) -> tuple[int, bytes]:
    if odd.kind is Kind.HTML_PAGE:
        return 200, PAGE
    if odd.kind is Kind.HTTP_STATUS:
        return odd.status, PAGE
    wrong = odd.kind is Kind.WRONG_ID
    whole = json.dumps({"jsonrpc": "2.0", "id": asked_id + ID_SHIFT if wrong else asked_id, "result": odd.result})
    return 200, whole.encode() if wrong else whole.encode()[: len(whole) // 2]


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True

"""JSON-RPC over HTTP: one request out, one answer in, within a time. Nothing is ever sent a second time.

What comes back is what the node said, result or error; that it is an answer to what was asked is checked here.
A node's URL may hold a password or a key, and what is said of a node is shown to everybody: only scheme, host and port
are named, and nothing that a library says of a failure, which may quote the rest.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bridge.chain.errors import ChainUnreachable

if TYPE_CHECKING:
    import requests

CONNECTIONS_MAX: Final = 16
ANSWER_BYTES_MAX: Final = 256 * 2**20
CHUNK_BYTES: Final = 2**16
HTTP_OK: Final = 200
UNREADABLE: Final = "a URL that cannot be read"
#: How far the causes of a failure are followed; requests, urllib3 and the socket make three to five.
CAUSES_MAX: Final = 8


def without_secrets(url: str) -> str:
    """Scheme, host and port of a node's URL: all that may be shown of it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return UNREADABLE
    if not parts.scheme or not host:
        return UNREADABLE
    named = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{named}" if port is None else f"{parts.scheme}://{named}:{port}"


class Wire:
    """One node by URL, usable from several threads at once; `named` is what may be shown of the URL.

    `timeout_s` bounds the silence of a node, and from then on the whole answer: one that trickles in is given up after
    at most twice that long. Raises ChainUnreachable when no usable answer comes.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self.url = url
        self.named = without_secrets(url)
        self.timeout_s = timeout_s
        self._opening = threading.Lock()
        self._session_opened: requests.Session | None = None
        self._ids = count(1)

    def close(self) -> None:
        """Closes the kept-alive connections; the next request opens new ones."""
        with self._opening:
            if self._session_opened is not None:
                self._session_opened.close()
            self._session_opened = None

    def ask(self, method: str, params: Sequence[Any]) -> dict[str, Any]:
        """The node's answer to one request: it has a `result`, or else an `error`."""
        request = self._request(method, params)
        answer = self._exchange(method, request)
        if not isinstance(answer, dict) or not _answers(answer, request["id"]):
            raise self._garbled(method)
        return answer

    def ask_together(self, asked: Sequence[tuple[str, Sequence[Any]]]) -> list[dict[str, Any]]:
        """The answers to requests that travel together, in the order of the requests.

        A node that refuses them as a whole gives that one error as the answer to the first.
        """
        requests = [self._request(method, params) for method, params in asked]
        method = asked[0][0]
        answers = self._exchange(method, requests)
        if isinstance(answers, dict) and isinstance(answers.get("error"), dict | str):
            return [answers]
        if not isinstance(answers, list):
            raise self._garbled(method)
        found = {each.get("id"): each for each in answers if isinstance(each, dict)}
        ordered = [found.get(request["id"]) for request in requests]
        if len(answers) != len(requests) or any(
            one is None or not _answers(one, request["id"]) for one, request in zip(ordered, requests, strict=True)
        ):
            raise ChainUnreachable(f"The node at {self.named} left out answers to requests sent together.")
        return [one for one in ordered if one is not None]

    # -- inside -------------------------------------------------------------------------------

    def _request(self, method: str, params: Sequence[Any]) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}

    def _exchange(self, method: str, asked: Any) -> Any:
        """Post what is asked and read the JSON that comes back. A refusal may come with any HTTP status."""
        status, body = self._post(method, json.dumps(asked).encode())
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if status == HTTP_OK or (isinstance(answer, dict) and "error" in answer):
            return answer
        raise ChainUnreachable(f"The node at {self.named} answered {method} with the HTTP status {status}.")

    def _post(self, method: str, body: bytes) -> tuple[int, bytes]:
        import requests
        import urllib3

        deadline = time.monotonic() + self.timeout_s
        try:
            with self._session().post(
                self.url,
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=self.timeout_s,
                stream=True,
                allow_redirects=False,
            ) as response:
                return response.status_code, self._body(response, deadline)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as failure:
            why = _kind_of(failure)
        # Out of the `except`: a traceback in the log would quote the failure, and with it the URL.
        raise ChainUnreachable(f"The node at {self.named} did not answer {method}: {why}.")

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        parts: list[bytes] = []
        length = 0
        while part := response.raw.read1(CHUNK_BYTES, decode_content=True):
            parts.append(part)
            length += len(part)
            if length > ANSWER_BYTES_MAX:
                raise _GivenUp(f"the answer is longer than {ANSWER_BYTES_MAX} bytes")
            if time.monotonic() > deadline:
                raise _GivenUp(f"the answer is not complete after {self.timeout_s} s")
        return b"".join(parts)

    def _garbled(self, method: str) -> ChainUnreachable:
        return ChainUnreachable(f"The node at {self.named} answered {method} with something else than JSON-RPC.")

    def _session(self) -> requests.Session:
        with self._opening:
            if self._session_opened is None:
                self._session_opened = _open(self.url)
            return self._session_opened


def _answers(answer: dict[str, Any], asked: int) -> bool:
    """Whether it is an answer to the request with this id. An error may lack the id: not every gateway reads so far."""
    if answer.get("error") is not None:
        return answer.get("id") in (asked, None)
    return "result" in answer and answer.get("id") == asked


class _GivenUp(OSError):
    """Raised when an answer is given up on. Its text is our own, and is shown."""


def _kind_of(failure: BaseException) -> str:
    """What kind of failure it is, by its causes, the innermost that is known; never by its text."""
    told, at = "the connection failed", failure
    for _ in range(CAUSES_MAX):
        told = _told(at) or told
        inner = at.__cause__ or at.__context__ or next((one for one in at.args if isinstance(one, BaseException)), None)
        inner = inner or getattr(at, "reason", None)
        if not isinstance(inner, BaseException):
            break
        at = inner
    return told


def _told(failure: BaseException) -> str | None:
    import requests
    import urllib3

    if isinstance(failure, _GivenUp):
        return str(failure)
    errors = requests.exceptions
    kinds: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
        ((ConnectionRefusedError,), "the connection was refused"),
        ((ConnectionResetError, BrokenPipeError, urllib3.exceptions.ProtocolError), "the connection broke off"),
        ((socket.gaierror, urllib3.exceptions.NameResolutionError), "its name is not resolved"),
        ((ssl.SSLError, errors.SSLError), "TLS failed"),
        ((TimeoutError, errors.Timeout, urllib3.exceptions.TimeoutError), "it timed out"),
        ((errors.InvalidURL, errors.InvalidSchema, errors.MissingSchema), "the URL is not valid"),
        ((errors.ProxyError,), "the proxy failed"),
    )
    return next((told for types, told in kinds if isinstance(failure, types)), None)


def _open(url: str) -> requests.Session:
    import requests
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    # A proxy from the environment must not stand between the service and its own machine.
    session.trust_env = urlsplit(without_secrets(url)).hostname not in ("127.0.0.1", "localhost", "::1")
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=CONNECTIONS_MAX, max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session

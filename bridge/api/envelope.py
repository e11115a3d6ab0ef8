"""What surrounds every request: its id, the limit on its body, the one byte that no body or URL has, its metrics."""

import time
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.api.metrics import Metrics
from bridge.api.problems import PROBLEM, BodyTooLarge, problem_of, status_of
from bridge.store.texts import NO_NUL, UnfitText

#: The longest body that is taken; a bulk call of a thousand earns has about a fifth of it.
BODY_BYTES_MAX = 1_048_576
REQUEST_ID_LENGTH_MAX = 64
#: The character NUL as URLs write it. PostgreSQL keeps it in no text, and nobody needs it in one.
NUL_IN_URL = b"%00"


class Envelope:
    """ASGI middleware; the innermost knows nothing of it but `request.state.request_id`."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = _request_id(headers.get(b"x-request-id", b""))
        scope.setdefault("state", {})["request_id"] = request_id
        began = time.perf_counter()
        status = 500

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        body = _Body(receive)
        try:
            if int(headers.get(b"content-length", b"0") or 0) > BODY_BYTES_MAX:
                raise BodyTooLarge(_too_large())
            if "\0" in scope["path"] or NUL_IN_URL in scope["query_string"]:
                raise UnfitText(NO_NUL)
            await self._app(scope, body.receive, send_marked)
        except (BodyTooLarge, UnfitText) as refusal:
            await _refuse(refusal, request_id, send_marked)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.request(scope["method"], route, status, time.perf_counter() - began)


class _Body:
    """A request's body, counted and looked at while it comes in."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._bytes = 0

    async def receive(self) -> Message:
        message = await self._receive()
        chunk = message.get("body", b"")
        self._bytes += len(chunk)
        if self._bytes > BODY_BYTES_MAX:
            raise BodyTooLarge(_too_large(), limit=BODY_BYTES_MAX)
        if b"\0" in chunk:  # as all JSON has that is in UTF-16 or UTF-32, and none that is in UTF-8
            raise UnfitText("the body has a byte that is zero: send JSON in UTF-8")
        return message


def _too_large() -> str:
    return f"a body has at most {BODY_BYTES_MAX} bytes; send fewer items in a call"


def _request_id(given: bytes) -> str:
    text = given.decode("latin-1")
    if 0 < len(text) <= REQUEST_ID_LENGTH_MAX and text.isascii() and text.replace("-", "").isalnum():
        return text
    return uuid.uuid4().hex


async def _refuse(refusal: BodyTooLarge | UnfitText, request_id: str, send: Send) -> None:
    if isinstance(refusal, BodyTooLarge):
        refusal.limit = BODY_BYTES_MAX
    content = problem_of(refusal, request_id).model_dump_json(exclude_none=True).encode()
    headers = [(b"content-type", PROBLEM.encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status_of(refusal), "headers": headers})
    await send({"type": "http.response.body", "body": content})

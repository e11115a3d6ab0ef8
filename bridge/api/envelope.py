"""What surrounds every request: its id, the limit on its body, and its metrics."""

import time
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.api.metrics import Metrics
from bridge.api.problems import PROBLEM, BodyTooLarge, problem_of

#: The longest body that is taken; a bulk call of a thousand earns has about a fifth of it.
BODY_BYTES_MAX = 1_048_576
REQUEST_ID_LENGTH_MAX = 64


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
            await self._app(scope, body.receive, send_marked)
        except BodyTooLarge as refusal:
            await _refuse(refusal, request_id, send_marked)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.request(scope["method"], route, status, time.perf_counter() - began)


class _Body:
    """A request's body, counted while it comes in."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._bytes = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._bytes > BODY_BYTES_MAX:
            raise BodyTooLarge(_too_large(), limit=BODY_BYTES_MAX)
        return message


def _too_large() -> str:
    return f"a body has at most {BODY_BYTES_MAX} bytes; send fewer items in a call"


def _request_id(given: bytes) -> str:
    text = given.decode("latin-1")
    if 0 < len(text) <= REQUEST_ID_LENGTH_MAX and text.isascii() and text.replace("-", "").isalnum():
        return text
    return uuid.uuid4().hex


async def _refuse(refusal: BodyTooLarge, request_id: str, send: Send) -> None:
    refusal.limit = BODY_BYTES_MAX
    content = problem_of(refusal, request_id).model_dump_json(exclude_none=True).encode()
    headers = [(b"content-type", PROBLEM.encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": content})

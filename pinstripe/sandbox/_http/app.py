"""The HTTP side of the sandbox: an aiohttp server that reads requests and writes answers.

A request passes these steps in order; each may refuse it:

1. the route is looked up, and `guard` keeps out what a page of another site sends;
2. the API key, and the version and account headers; only then an unknown route is told;
3. the rate limit;
4. a fault, which may delay, refuse or cut the request here, or after its endpoint;
5. the idempotency key, which is in use from here on;
6. the body and the parameters in it;
7. the stored answer of the key: if there is one, it is replayed and the endpoint does not run;
8. the check of the parameters;
9. the endpoint;
10. the journal: the answer waits until the changes are saved.

Requests to the sandbox's own control routes go from step 2 to step 6: they meet no limit, no fault
and no key.

Every answer has a `Request-Id`, and is JSON except for the content of files. The parameters of a
POST may be in the query string too; those of a GET or DELETE may be nowhere else. A body over 1 MiB
is a 413, except for the multipart body of a route that takes uploads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing, suppress
from time import perf_counter
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from attrs import define, evolve

from pinstripe.sandbox._http import dispatch
from pinstripe.sandbox._http.auth import Access, echoed_headers, read_access
from pinstripe.sandbox._http.guard import HOST, check_host, check_site
from pinstripe.sandbox._http.routes import Match, RouteTable, Stream
from pinstripe.sandbox._params.errors import Refusal, invalid
from pinstripe.sandbox._params.forms import Form, decode, from_json
from pinstripe.sandbox._params.multipart import MEDIA_TYPE, decode_multipart
from pinstripe.sandbox._state.origin import NO_REQUEST, EventOrigin
from pinstripe.sandbox._state.versions import API_VERSION
from pinstripe.sandbox._state.world import Account, World
from pinstripe.sandbox._traffic.answer import EncodedAnswer
from pinstripe.sandbox._traffic.faults import ConnectionCut, Fault
from pinstripe.sandbox._traffic.feed import REQUESTS
from pinstripe.sandbox._traffic.request_log import MAX_KEPT, LoggedRequest

# Own choices: far above what the API's requests and a test's client need. The connections leave
# room for other files below 1024, the usual limit of a process.
MAX_BODY = 1024 * 1024
MAX_CONNECTIONS = 768
# How long a new connection may take for the head of its first request, and a kept one for the next.
HEAD_SECONDS = 10.0
KEEP_SECONDS = 75.0

_log = logging.getLogger("pinstripe.sandbox.requests")

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_NO_KEY = Access(restricted=False, account=None, idempotency_key=None)


class Application:
    """Answers HTTP requests from the state of a world.

    Args:
        world: The state.
        routes: The endpoints.
    """

    def __init__(self, world: World, routes: RouteTable) -> None:
        self.world = world
        self.routes = routes

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; never raises."""
        started = perf_counter()
        entry = LoggedRequest(self.world.new_request_id(), request.method)
        try:
            answer = await self._answer(request, entry)
            if self.world.journal.unsaved:
                await self.world.journal.wait_saved()
        except Refusal as refusal:
            answer = dispatch.error_answer(refusal)
        except (ConnectionCut, ConnectionResetError):  # the latter: the client hung up
            if request.transport is not None:
                request.transport.abort()
            self._log(entry, None, started)
            return web.Response()
        except Exception:  # noqa: BLE001 -- no traceback leaves the sandbox
            answer = dispatch.internal_error("reading a request or saving its changes")
        headers = echoed_headers(request.headers)
        headers["Request-Id"] = entry.id
        if isinstance(answer, Stream):
            return await _send_stream(request, answer, headers)
        self._log(entry, answer, started)
        return _response(answer, headers)

    def _log(self, entry: LoggedRequest, answer: EncodedAnswer | None, started: float) -> None:
        if entry.hidden:
            return
        entry.at = self.world.settings.clock()
        entry.seconds = perf_counter() - started
        if answer is not None:
            entry.status = answer.status
            entry.body = answer.body if answer.status >= 400 else b""
            entry.replayed = "Idempotent-Replayed" in answer.headers
        self.world.requests.add(entry)
        self.world.feed.publish(None, REQUESTS)

    async def _answer(
        self, request: web.BaseRequest, entry: LoggedRequest
    ) -> EncodedAnswer | Stream:
        path, _, query = request.raw_path.partition("?")
        if not path.isascii():
            # Bytes that are not UTF-8 arrive as surrogates, which no answer could hold.
            path = path.encode("utf-8", "replace").decode()
        entry.path = path
        found = self.routes.find(request.method, path)
        entry.hidden = not isinstance(found, Refusal) and found.route.control
        match, access = self._admit(request, found)
        account = self.world.account(access.account)
        entry.account = account.id
        exchange = _Exchange(match, account, access, entry)
        if match.route.control:
            exchange.html = "text/html" in request.headers.get("Accept", "")
            return await exchange.run(await _read_form(request, match, query))
        if not match.route.open:
            limiter = self.world.rate_limiter
            limiter.check(account.id, request.method, match.route.path, account.now())
        fault = exchange.fault = self.world.faults.pick(request.method, path)
        if fault is None:
            return await self._run_once(request, exchange, query)
        entry.fault = True
        await asyncio.sleep(fault.latency)
        if fault.skips_endpoint:
            raise fault.refusal()
        answer = await self._run_once(request, exchange, query)
        if fault.effect:
            # The answer is lost, the effect is not: it is saved like any other.
            await self.world.journal.wait_saved()
            raise fault.refusal()
        return answer

    def _admit(self, request: web.BaseRequest, found: Match | Refusal) -> tuple[Match, Access]:
        """Return the route that was found, and what the headers say.

        Raises:
            Refusal: 403 for a page of another site or an account that does not exist, 401 for a
                key that is not accepted, 404 or 405 for a route that is not there, 400 for other
                headers.
        """
        open = not isinstance(found, Refusal) and found.route.open
        check_host(request.headers.get(HOST, ""), self.world.settings.reachable_as)
        check_site(request.headers, visit=open and request.method == "GET")
        accounts = self.world.settings.accounts
        v2 = not isinstance(found, Refusal) and found.route.v2
        access = _NO_KEY if open else read_access(request.headers, request.method, accounts, v2=v2)
        if isinstance(found, Refusal):
            raise found
        return found, access

    async def _run_once(
        self, request: web.BaseRequest, exchange: _Exchange, query: str
    ) -> EncodedAnswer:
        """Read the parameters and run the endpoint, unless the key has a stored answer."""
        key = exchange.access.idempotency_key
        if key is None:
            return await exchange.run_api(await exchange.read_form(request, query))
        keys = exchange.account.keys.of(v2=exchange.match.route.v2)
        endpoint = f"{request.method} {exchange.entry.path}"
        # The key is in use before the body is read: a second request that arrives meanwhile gets
        # a 409 and cannot run the endpoint as well.
        keys.acquire(key, endpoint, exchange.entry.id, exchange.account.now())
        try:
            form = await exchange.read_form(request, query)
            digest = dispatch.fingerprint(form)
            answer = keys.replay(key, digest)
            if answer is None:
                answer = keys.store(key, digest, await exchange.run_api(form))
            return answer
        finally:
            keys.release(key)


@define(eq=False)
class _Exchange:
    """One request on its way to an endpoint."""

    match: Match
    account: Account
    access: Access
    entry: LoggedRequest
    fault: Fault | None = None
    html: bool = False

    async def read_form(self, request: web.BaseRequest, query: str) -> Form:
        form = await _read_form(request, self.match, query)
        # A body whose length is not announced counts as large.
        body = MAX_KEPT + 1 if request.can_read_body else 0
        self.entry.keep_params(form, len(query) + (request.content_length or body))
        return form

    async def run_api(self, form: Form) -> EncodedAnswer:
        answer = await self.run(form)
        assert isinstance(answer, EncodedAnswer), "only control routes stream"
        # As recorded answers have it: 200 and 402 say it, other answers leave it to the status.
        if self.match.route.method == "POST" and answer.status in (200, 402):
            headers = {"Stripe-Should-Retry": "false", **answer.headers}
            answer = evolve(answer, headers=headers)
        return answer

    async def run(self, form: Form) -> EncodedAnswer | Stream:
        """Check the parameters, which may raise, and run the endpoint, which may not."""
        # Events name the request of the API that caused them; a control route is none.
        origin = NO_REQUEST
        if not self.match.route.control:
            origin = EventOrigin(self.entry.id, self.access.idempotency_key)
        call = dispatch.prepare(
            self.match,
            form,
            self.account,
            restricted=self.access.restricted,
            origin=origin,
            path=self.entry.path,
            html=self.html,
        )
        answer = await dispatch.run(self.match, call)
        if self.fault is not None and self.fault.replaces_answer:
            return dispatch.error_answer(self.fault.refusal())
        return answer


class LoopbackServer(web.Server):
    """aiohttp's low-level server, with bounds on connections and JSON for malformed HTTP.

    A connection that sends no whole head in time is closed, and so is one above the bound.

    Args:
        application: Answers the requests.
    """

    def __init__(self, application: Application) -> None:
        super().__init__(application.handle, request_factory=_heard)
        self._request_id = application.world.new_request_id

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return _Protocol(self, self._request_id)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Accept a connection, or close it if there are too many."""
        super().connection_made(handler, transport)
        if len(self.connections) > MAX_CONNECTIONS:
            asyncio.get_running_loop().call_soon(handler.force_close)


class _AccessLog(AbstractAccessLogger):
    """One line for each request, without its query, which may hold personal data."""

    @property
    def enabled(self) -> bool:
        """Whether the log is read at all."""
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Write the line."""
        path = request.raw_path.partition("?")[0]
        # The headers of the answer repeat the account of the request only if it is well-formed.
        names = [response.headers.get(name) for name in ("Request-Id", "Stripe-Account")]
        what = request.method, path, response.status, time, ", ".join(filter(None, names))
        self.logger.info("%s %s: %d in %.3f s (%s)", *what)


class _Protocol(web.RequestHandler):
    __slots__ = ("_head_timer", "_new_request_id")

    def __init__(self, server: LoopbackServer, new_request_id: Any) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=_log,
            access_log_class=_AccessLog,
            keepalive_timeout=KEEP_SECONDS,
            # A compressed body is refused, and never decompressed: it could be a bomb.
            auto_decompress=False,
        )
        self._new_request_id = new_request_id
        loop = asyncio.get_running_loop()
        self._head_timer: asyncio.TimerHandle | None
        self._head_timer = loop.call_later(HEAD_SECONDS, self.force_close)

    def end_head_timer(self) -> None:
        """End the wait for the first head."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def connection_lost(self, exc: BaseException | None) -> None:
        """End a connection, and the wait for its head."""
        self.end_head_timer()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer malformed HTTP with an error envelope, and close the connection."""
        del request, exc, message
        refusal = Refusal("The request is not valid HTTP.", status=status)
        headers = {"Stripe-Version": API_VERSION, "Request-Id": self._new_request_id()}
        response = _response(dispatch.error_answer(refusal), headers)
        response.force_close()
        return response


def _heard(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    """Return a request as aiohttp does by itself, now that its head is there."""
    protocol.end_head_timer()
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop)


def _response(answer: EncodedAnswer, headers: dict[str, str]) -> web.Response:
    """Return the response of an answer; the headers are added to."""
    headers.update(answer.headers)
    headers["Content-Type"] = answer.content_type
    # No answer is taken for a page or a script unless it says that it is one.
    headers["X-Content-Type-Options"] = "nosniff"
    return web.Response(body=answer.body, status=answer.status, headers=headers)


async def _send_stream(
    request: web.BaseRequest, stream: Stream, headers: Mapping[str, str]
) -> web.StreamResponse:
    kept = {"Content-Type": stream.type, "Cache-Control": "no-store"}
    response = web.StreamResponse(headers={**headers, **kept})
    async with aclosing(stream.parts) as parts:
        with suppress(ConnectionResetError):  # the client hung up
            await response.prepare(request)
            async for part in parts:
                await response.write(part)
    return response


async def _read_form(request: web.BaseRequest, match: Match, query: str) -> Form:
    """Return the parameters of a request, from its body and its query string."""
    if request.method != "POST":
        return decode(query) if query else {}
    media_type, _, rest = request.headers.get("Content-Type", _FORM).partition(";")
    media_type = media_type.strip().lower()
    multipart = media_type == MEDIA_TYPE and match.route.upload > 0
    body = await _read_body(request, match.route.upload if multipart else MAX_BODY)
    # Without a body, the Content-Type says nothing.
    if not body:
        return decode(query)
    if multipart:
        return decode_multipart(body, request.headers["Content-Type"], query)
    if rest.replace(" ", "").replace('"', "").lower() not in ("", "charset=utf-8"):
        raise invalid("Parameters must be UTF-8.")
    # JSON is for the control routes and for `/v2`; the rest of the API takes forms.
    if media_type == _JSON and (match.route.control or match.route.v2):
        try:
            value = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise invalid("The body is not valid JSON.") from None
        return {**decode(query), **from_json(value)}
    if media_type != _FORM or match.route.v2:
        raise invalid(f"Send parameters as {_JSON if match.route.v2 else _FORM}.")
    return decode(f"{query}&{body.decode('utf-8', 'surrogateescape')}")


async def _read_body(request: web.BaseRequest, limit: int) -> bytes:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise invalid("Compressed bodies are not accepted.")
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    # The client waits for this line before it sends the body. It is not part of the response, so
    # aiohttp must not count its bytes.
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    body = bytearray()
    while chunk := await request.content.readany():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> Refusal:
    return Refusal(f"The body is larger than {limit} bytes.", status=413)

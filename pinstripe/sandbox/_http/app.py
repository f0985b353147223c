"""The HTTP side of the sandbox: an aiohttp server that reads requests and writes answers.

Order of a request: Host, key, version and account headers; route; rate limit; fault; idempotency
key; body; stored answer; parameters; endpoint; what it changed is made safe. Every answer carries
a `Request-Id`, and is JSON but for the content of files. Parameters of a POST may stand in the
query string too; those of a GET or DELETE stand nowhere else. A body over 1 MiB is a 413, but for
the multipart body of a route that takes uploads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from pinstripe.sandbox._http import dispatch
from pinstripe.sandbox._http.auth import Access, check_host, echoed_headers, read_access
from pinstripe.sandbox._http.routes import Match, RouteTable
from pinstripe.sandbox._params.errors import Refusal, invalid
from pinstripe.sandbox._params.forms import Form, decode, from_json
from pinstripe.sandbox._params.multipart import MEDIA_TYPE, decode_multipart
from pinstripe.sandbox._state.world import API_VERSION, Account, EventOrigin, World
from pinstripe.sandbox._traffic.answer import EncodedAnswer
from pinstripe.sandbox._traffic.faults import ConnectionCut, Fault

MAX_BODY = 1024 * 1024
MAX_CONNECTIONS = 4096

_log = logging.getLogger("pinstripe.sandbox.requests")

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_ANYONE = Access(restricted=False, account=None, idempotency_key=None)


class Application:
    """Answers HTTP requests from the state of a world.

    Args:
        world: the state.
        router: the endpoints.
    """

    def __init__(self, world: World, router: RouteTable) -> None:
        self.world = world
        self.routes = router

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; never raises."""
        request_id = self.world.new_request_id()
        try:
            answer = await self._answer(request, request_id)
            if self.world.journal.unsaved:
                await self.world.journal.wait_saved()
        except Refusal as refusal:
            answer = dispatch.error_answer(refusal)
        except (ConnectionCut, ConnectionResetError):  # the latter: the client hung up
            return _cut(request)
        except Exception:  # noqa: BLE001 - no traceback leaves the sandbox
            answer = dispatch.internal_error("the reading or keeping of a request")
        headers = {**echoed_headers(request.headers), "Request-Id": request_id, **answer.headers}
        return _response(answer, headers)

    async def _answer(self, request: web.BaseRequest, request_id: str) -> EncodedAnswer:
        path, _, query = request.raw_path.partition("?")
        path = path.encode("utf-8", "replace").decode()
        access = self._access(request, path)
        account = self.world.account(access.account)
        match = self.routes.match(request.method, path)
        exchange = _Exchange(match, account, access, request_id, path)
        if match.route.control:
            return await exchange.run(await _read_form(request, match, query))
        if not match.route.open:
            self.world.rate_limiter.check(
                account.id, request.method, match.route.path, account.now()
            )
        exchange.fault = self.world.faults.pick(request.method, path)
        if exchange.fault is None:
            return await self._carry_out(request, exchange, query)
        return await self._struck(request, exchange, exchange.fault, query)

    async def _struck(
        self, request: web.BaseRequest, exchange: _Exchange, fault: Fault, query: str
    ) -> EncodedAnswer:
        await asyncio.sleep(fault.latency)
        if fault.skips_endpoint:
            raise fault.refusal()
        answer = await self._carry_out(request, exchange, query)
        if fault.effect:
            await self.world.journal.wait_saved()
            raise fault.refusal()
        return answer

    async def _carry_out(
        self, request: web.BaseRequest, exchange: _Exchange, query: str
    ) -> EncodedAnswer:
        key = exchange.access.idempotency_key
        if key is not None:
            return await self._once(request, exchange, key, query)
        return await exchange.run(await _read_form(request, exchange.match, query))

    def _access(self, request: web.BaseRequest, path: str) -> Access:
        if self.routes.needs_key(path):
            return read_access(request.headers, request.method)
        check_host(request.headers.get("Host", ""))
        return _ANYONE

    async def _once(
        self, request: web.BaseRequest, exchange: _Exchange, key: str, query: str
    ) -> EncodedAnswer:
        ledger = exchange.account.idempotency_keys
        endpoint = f"{request.method} {exchange.path}"
        ledger.acquire(key, endpoint, exchange.request_id, exchange.account.now())
        try:
            form = await _read_form(request, exchange.match, query)
            digest = dispatch.fingerprint(form)
            answer = ledger.replay(key, digest)
            if answer is None:
                answer = await exchange.run(form)
                ledger.store(key, digest, answer)
            return answer
        finally:
            ledger.release(key)


class _Exchange:
    """One request on its way through an endpoint."""

    __slots__ = ("access", "account", "fault", "match", "path", "request_id")

    def __init__(
        self, match: Match, account: Account, access: Access, request_id: str, path: str
    ) -> None:
        self.match = match
        self.account = account
        self.access = access
        self.request_id = request_id
        self.path = path
        self.fault: Fault | None = None

    async def run(self, form: Form) -> EncodedAnswer:
        """Check the parameters, which may raise, and run the endpoint, which may not."""
        call = dispatch.prepare(
            self.match,
            form,
            self.account,
            restricted=self.access.restricted,
            origin=self._origin(),
            path=self.path,
        )
        answer = await dispatch.run(self.match, call)
        if self.fault is not None and self.fault.replaces_answer:
            return dispatch.error_answer(self.fault.refusal())
        return answer

    def _origin(self) -> EventOrigin:
        if self.match.route.control:
            return EventOrigin()
        return EventOrigin(self.request_id, self.access.idempotency_key)


class LoopbackServer(web.Server):
    """aiohttp's low-level server, with a bound on connections and JSON for malformed HTTP.

    Args:
        application: answers the requests.
    """

    def __init__(self, application: Application) -> None:
        super().__init__(application.handle)
        self._request_id = application.world.new_request_id

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return _Protocol(self, self._request_id)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Take a connection, or drop it beyond the bound."""
        super().connection_made(handler, transport)
        if len(self.connections) > MAX_CONNECTIONS:
            asyncio.get_running_loop().call_soon(handler.force_close)


class _AccessLog(AbstractAccessLogger):
    """A line for each request, without its query, which can tell who somebody is."""

    @property
    def enabled(self) -> bool:
        """Whether anybody reads it."""
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Write the line."""
        path = request.raw_path.partition("?")[0]
        self.logger.info("%s %s: %d in %.3f s", request.method, path, response.status, time)


class _Protocol(web.RequestHandler):
    __slots__ = ("_new_request_id",)

    def __init__(self, server: LoopbackServer, new_request_id: Any) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=_log,
            access_log_class=_AccessLog,
            auto_decompress=False,
        )
        self._new_request_id = new_request_id

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is not HTTP with an envelope, and close the connection."""
        del request, exc, message
        refusal = Refusal("The request is not valid HTTP.", status=status)
        headers = {"Stripe-Version": API_VERSION, "Request-Id": self._new_request_id()}
        response = _response(dispatch.error_answer(refusal), headers)
        response.force_close()
        return response


def _response(answer: EncodedAnswer, headers: Mapping[str, str]) -> web.Response:
    content_type = {"Content-Type": answer.content_type}
    return web.Response(body=answer.body, status=answer.status, headers={**headers, **content_type})


def _cut(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _read_form(request: web.BaseRequest, match: Match, query: str) -> Form:
    if request.method != "POST":
        return decode(query)
    media_type, charset = _media_type(request.headers)
    multipart = media_type == MEDIA_TYPE and match.route.upload > 0
    body = await _read_body(request, match.route.upload if multipart else MAX_BODY)
    if not body:
        return decode(query)
    if multipart:
        return decode_multipart(body, request.headers["Content-Type"], query)
    if charset not in ("", "charset=utf-8"):
        raise invalid("Parameters must be UTF-8.")
    if media_type == _JSON and match.route.control:
        return {**decode(query), **from_json(_parse_json(body))}
    if media_type != _FORM:
        raise invalid(f"Send parameters as {_FORM}.")
    return decode(f"{query}&{body.decode('utf-8', 'surrogateescape')}")


async def _read_body(request: web.BaseRequest, limit: int) -> bytes:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise invalid("Compressed bodies are not accepted.")
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
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


def _media_type(headers: Mapping[str, str]) -> tuple[str, str]:
    media_type, _, rest = headers.get("Content-Type", _FORM).partition(";")
    return media_type.strip().lower(), rest.replace(" ", "").replace('"', "").lower()


def _parse_json(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise invalid("The body is not valid JSON.") from None

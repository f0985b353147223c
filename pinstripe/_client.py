"""The asynchronous client: it makes a pipeline from its settings, and products from the pipeline.

The module of a product is imported when its namespace is first used. To make the models of all
products would be most of what a first call waits for.
"""
# ruff: noqa: PLC0415 -- products are imported inside functions, as above

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import import_module
from types import TracebackType, UnionType
from typing import TYPE_CHECKING, Any, overload

from attrs import evolve, frozen
from typing_extensions import Self

from pinstripe._concurrency.daemon_thread import in_daemon_thread
from pinstripe._config.client import Config, config_from
from pinstripe._config.hooks import Hooks, watches_calls
from pinstripe._config.options import (
    DEFAULT_RATE_LIMIT,
    Limits,
    RateLimit,
    RequestOptions,
    RetryPolicy,
    Timeout,
)
from pinstripe._config.tls import TLS
from pinstripe._core.checks import kind_of
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.forks import fork_safe_property, no_fork
from pinstripe._core.tracebacks import hide_every_frame, hide_frames
from pinstripe._core.values import Unpicklable
from pinstripe._http.messages import Host, Method, Response, Sender
from pinstripe._http.pipeline import Pipeline, TimeSource
from pinstripe._http.retry import Budget
from pinstripe._http.transport import AiohttpTransport, Transport
from pinstripe._http.watched import WatchedCalls
from pinstripe._limits.loop_limiters import LoopLimiters
from pinstripe._models.convert import check_target
from pinstripe._resources.any_endpoint import (
    Into,
    IntoListed,
    answer_of,
    endpoint_of,
    list_of,
    request_for,
    walk_over,
)
from pinstripe._resources.pager import Pager
from pinstripe._resources.resource import prepare_decoders
from pinstripe._resources.walk import Created, Paging

if TYPE_CHECKING:
    from pinstripe.climate import Climate
    from pinstripe.crypto import Crypto
    from pinstripe.events import Events
    from pinstripe.files import FileLinks, Files
    from pinstripe.forwarding import Forwarding
    from pinstripe.identity import Identity
    from pinstripe.v2 import V2
    from pinstripe.webhook_endpoints import WebhookEndpoints

# anyio's backend is imported by its name. To have anyio do it takes a second event loop, which
# anyio refuses in a context that says that one is running.
_LATE_IMPORTS = (
    "anyio._backends._asyncio",
    "pinstripe._http.coalesce",
    "pinstripe._resources.linked_walk",
    "pinstripe._resources.parallel",
    "pinstripe._resources.waiting",
)
"""Modules that are imported when they are first needed, or by `warm_up`."""
_LATE_IMPORTS_OF_SHARED = (
    "pinstripe._limits.redis_meters",
    "pinstripe._limits.shared_gate",
    "redis.asyncio",
)
"""The same for a budget that processes share."""


@frozen(eq=False, repr=False)
class _Shared:
    """What a client and its siblings have in common."""

    transport: Transport
    limiters: LoopLimiters
    budget: Budget


class AsyncClient(Unpicklable):
    """The client, for asyncio.

        async with pinstripe.AsyncClient() as stripe:
            session = await stripe.identity.verification_sessions.create(type="document")

    It can be made anywhere, and opens its connections for the first request. Without `async with`,
    end it with `aclose()`.

    Several event loops may use it at the same time, each in its own thread and with connections of
    its own; every limit counts in each event loop by itself. After a fork, the child opens
    connections of its own.

    Every call raises `ConfigurationError` if an argument is wrong (nothing was sent then),
    `APIError` if the API refuses, `TransportError` if no usable answer comes, and `ResponseError`
    if an answer cannot be used. The docstring of a method names only its own errors.

    Args:
        api_key: A secret or restricted key; by default the environment's `STRIPE_API_KEY`.
        base_url: The address of the API; by default the environment's `PINSTRIPE_BASE_URL`, or
            else Stripe's.
        files_url: The address that serves files.
        api_version: The version of the API; by default the one that the models were written
            for.
        account: The connected account to act for (`acct_...`).
        context: The account to act for as the owner of the key sees it, in place of `account`: a
            path of accounts from near to far, such as `"acct_A/acct_B"`. The key of an
            organization needs it. The limits are those of the last account.
        timeout: A `Timeout`, or the total in seconds; 30 by default.
        retry: When a failed request is repeated.
        rate_limit: The most requests a second, for the client and its siblings together; by
            default what Stripe publishes, or no limit if `base_url` is on this machine. None
            switches it off.
        limits: The bounds of connections and answers.
        hooks: Functions that are called while a call proceeds; for OpenTelemetry those of
            `pinstripe.otel.hooks()`.
        tls: Certificates in place of those of the machine, or an `ssl.SSLContext` that verifies.
        proxy: The address of a proxy, such as `http://user:password@host:3128`; or
            `"environment"`, to use the variables `https_proxy` and `no_proxy`.
        allow_insecure_http: Whether keys may be sent over plain http: test keys to other
            machines, and live keys to any.
        transport: Carries the requests, in place of aiohttp.

    Raises:
        ConfigurationError: An argument is wrong; nothing was sent.
    """

    __module__ = "pinstripe"

    @hide_every_frame
    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        files_url: str | None = None,
        api_version: str | None = None,
        account: str | None = None,
        context: str | None = None,
        timeout: Timeout | float | None = None,
        retry: RetryPolicy | None = None,
        rate_limit: RateLimit | None = DEFAULT_RATE_LIMIT,
        limits: Limits | None = None,
        hooks: Hooks | None = None,
        tls: TLS | ssl.SSLContext | None = None,
        proxy: str | None = None,
        allow_insecure_http: bool = False,
        transport: Transport | None = None,
    ) -> None:
        config = config_from(
            {
                "api_key": api_key,
                "base_url": base_url,
                "files_url": files_url,
                "api_version": api_version,
                "account": account,
                "context": context,
                "timeout": timeout,
                "retry": retry,
                "rate_limit": rate_limit,
                "limits": limits,
                "hooks": hooks,
                "tls": tls,
                "proxy": proxy,
                "allow_insecure_http": allow_insecure_http,
            }
        )
        if transport is not None and not _is_transport(transport):
            problem = f"must have the methods send and aclose; {kind_of(transport)} has not"
            raise ConfigurationError("transport", problem)
        limiters = LoopLimiters(config.limits.max_in_flight, config.rates)
        self._build(config, _Shared(_transport(transport, config), limiters, Budget()))

    def _build(self, config: Config, shared: _Shared) -> None:
        self._config = config
        self._shared = shared
        pipeline = Pipeline(
            shared.transport.send,
            shared.limiters,
            shared.budget,
            headers=config.headers,
            timeout=config.timeout,
            retry=config.retry,
            hooks=config.hooks,
            time_source=TimeSource(),
            needs_context=config.of_organization,
        )
        self._send: Sender = pipeline.send
        if watches_calls(config.hooks):
            acts_for = config.account, config.context
            watched = WatchedCalls(pipeline, config.hooks, acts_for, config.server_of)
            self._send = watched.send
        # Between the resources and the pipeline, so that retries are shared too.
        if config.coalesce:
            with no_fork():
                from pinstripe._http.coalesce import Coalescer

            self._send = Coalescer(self._send, config.timeout.total).send

    @fork_safe_property
    def identity(self) -> Identity:
        """Verification sessions and reports."""
        from pinstripe.identity import Identity

        return Identity(self._send)

    @fork_safe_property
    def crypto(self) -> Crypto:
        """Onramp sessions and quotes."""
        from pinstripe.crypto import Crypto

        return Crypto(self._send)

    @fork_safe_property
    def climate(self) -> Climate:
        """Orders of carbon removal, products and suppliers."""
        from pinstripe.climate import Climate

        return Climate(self._send)

    @fork_safe_property
    def events(self) -> Events:
        """Events: what happened to the objects of the account."""
        from pinstripe.events import Events

        return Events(self._send)

    @fork_safe_property
    def files(self) -> Files:
        """Files that were uploaded or that the API made, and their content."""
        from pinstripe.files import Files

        return Files(self._send)

    @fork_safe_property
    def file_links(self) -> FileLinks:
        """Links to the content of files, which need no key."""
        from pinstripe.files import FileLinks

        return FileLinks(self._send)

    @fork_safe_property
    def forwarding(self) -> Forwarding:
        """Other services, to which requests are forwarded with card details filled in."""
        from pinstripe.forwarding import Forwarding

        return Forwarding(self._send)

    @fork_safe_property
    def v2(self) -> V2:
        """Version 2 of the API: event destinations and thin events."""
        from pinstripe.v2 import V2

        return V2(self._send)

    @fork_safe_property
    def webhook_endpoints(self) -> WebhookEndpoints:
        """Endpoints: the addresses to which events are sent."""
        from pinstripe.webhook_endpoints import WebhookEndpoints

        return WebhookEndpoints(self._send)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._config.base_url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, also those of siblings from `with_options`.

        It does not wait for calls in progress: within a second, each ends with `ConnectionLost`,
        whose `outcome` says whether the server may have acted. Connections of other event loops
        are closed by those loops, in their next turns. Later calls are refused in every loop.
        """
        try:
            await self._shared.limiters.close()
        finally:
            await self._shared.transport.aclose()

    async def warm_up(self) -> None:
        """Do now, in a thread, what first calls would wait for.

        To import aiohttp, read the certificates and make the models of all products takes 200
        to 400 ms. Otherwise a product is made when its namespace is first used, and the rest by
        the first request, also in a thread.
        """
        self._shared.limiters()  # refuses if the client is closed, or no event loop of asyncio runs
        await in_daemon_thread(self._prepare)
        if isinstance(self._shared.transport, AiohttpTransport):
            await self._shared.transport.open()

    def _prepare(self) -> None:
        with no_fork():
            is_shared = self._config.rates.shared is not None
            for module in _LATE_IMPORTS + (_LATE_IMPORTS_OF_SHARED if is_shared else ()):
                import_module(module)
            # The namespaces are such properties: to read one imports its product.
            for name, member in vars(AsyncClient).items():
                if isinstance(member, fork_safe_property):
                    getattr(self, name)
            prepare_decoders()

    @hide_every_frame
    def with_options(
        self,
        *,
        api_version: str | None = None,
        account: str | None = None,
        context: str | None = None,
        timeout: Timeout | float | None = None,
        retry: RetryPolicy | None = None,
        coalesce: bool | None = None,
    ) -> Self:
        """Return a client with other settings that uses the same connections.

        Args:
            api_version: As for the client; a setting that is None stays as it is.
            account: As for the client; it also replaces the context.
            context: As for the client; it also replaces the account.
            timeout: As for the client.
            retry: As for the client.
            coalesce: Whether identical GETs at the same time are sent as one, whose answer or
                error goes to all callers. Keep the returned client and make all of them with it.

        Raises:
            ConfigurationError: An argument is wrong.
        """
        changes = {
            "api_version": api_version,
            "account": account,
            "context": context,
            "timeout": timeout,
            "retry": retry,
            "coalesce": coalesce,
        }
        given: dict[str, Any] = {
            name: value for name, value in changes.items() if value is not None
        }
        if account is not None or context is not None:
            given = {"account": None, "context": None, **given}
        sibling = object.__new__(type(self))
        sibling._build(evolve(self._config, **given), self._shared)
        return sibling

    @overload
    async def request(
        self,
        method: Method,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        into: None = None,
        ids: Mapping[str, str] | None = None,
        host: Host = "api",
        request_options: RequestOptions | None = None,
    ) -> Response: ...

    @overload
    async def request(
        self,
        method: Method,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        into: type[Into],
        ids: Mapping[str, str] | None = None,
        host: Host = "api",
        request_options: RequestOptions | None = None,
    ) -> Into: ...

    @overload
    async def request(
        self,
        method: Method,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        into: UnionType,
        ids: Mapping[str, str] | None = None,
        host: Host = "api",
        request_options: RequestOptions | None = None,
    ) -> Any: ...

    @hide_frames
    async def request(
        self,
        method: Method,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        into: Any = None,
        ids: Mapping[str, str] | None = None,
        host: Host = "api",
        request_options: RequestOptions | None = None,
    ) -> Any:
        """Call an endpoint that has no method here; timeouts, retries and limits apply as always.

            path = "/v1/customers/{customer}"
            customer = await stripe.request("GET", path, ids={"customer": "cus_A"}, into=Customer)

        `Customer` is a class of your own: attrs, a dataclass, a TypedDict, or a union or a generic
        type of these. `pinstripe.converter` structures the answer into it, and `pinstripe.sketch`
        writes a first class from an answer.

        Logs and hooks get the path with its placeholders, and requests with the same placeholders
        share a rate limit. If you write ids into the path, a segment with any character beside
        lowercase letters and `_` is replaced by a placeholder for this purpose. An id without
        such a character looks like a word of the API, so pass ids as `ids`.

        A POST to a path of `/v2` sends its parameters as JSON, in which None is null and clears a
        field. Everything else is sent as a form, which leaves None out and has no empty list.

        Args:
            method: `"GET"`, `"POST"` or `"DELETE"`.
            path: The path, with a placeholder for each id.
            params: Parameters, nested as the API nests them.
            into: The type of the answer.
            ids: The id for each placeholder of the path.
            host: Which address of the API serves it: `"api"` or `"files"`.
            request_options: Options of this call.

        Returns:
            An object of the type; or without `into` the answer: status, headers and the body as
            bytes.

        Raises:
            ConfigurationError: An argument is wrong; nothing was sent.
            APIError: The API refused.
            TransportError: No usable answer came.
            DecodeError: The answer does not fit `into`, or is of another object.
        """
        if into is not None:
            check_target("into", into)
        request = request_for(endpoint_of(method, path, ids, host, into), params, request_options)
        response = await self._send(request)
        return response if into is None else answer_of(request, response, into)

    @overload
    def list(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        into: type[IntoListed],
        ids: Mapping[str, str] | None = None,
        created: Created | datetime | None = None,
        limit: int | None = None,
        max_items: int | None = None,
        starting_after: str | None = None,
        ending_before: str | None = None,
        cursor: str | None = None,
        request_options: RequestOptions | None = None,
    ) -> Pager[IntoListed]: ...

    @overload
    def list(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        into: UnionType,
        ids: Mapping[str, str] | None = None,
        created: Created | datetime | None = None,
        limit: int | None = None,
        max_items: int | None = None,
        starting_after: str | None = None,
        ending_before: str | None = None,
        cursor: str | None = None,
        request_options: RequestOptions | None = None,
    ) -> Pager[Any]: ...

    @hide_frames
    def list(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        into: Any,
        ids: Mapping[str, str] | None = None,
        created: Created | datetime | None = None,
        limit: int | None = None,
        max_items: int | None = None,
        starting_after: str | None = None,
        ending_before: str | None = None,
        cursor: str | None = None,
        request_options: RequestOptions | None = None,
    ) -> Pager[Any]:
        """List the objects of an endpoint that has no method here, newest first.

            async for refund in stripe.list("/v1/refunds", {"charge": "ch_A"}, into=Refund): ...

        Args:
            path: The path, with a placeholder for each id.
            params: Its filters, nested as the API nests them.
            into: The class of the objects, as for `request`, with a field `id`.
            ids: The id for each placeholder of the path.
            created: Only those created in this range, or in this second. `pinstripe.Created()` lets
                all through, and says that the list has this filter: then it can be walked in
                parallel, and is exported so, if the class has a field `created`.
            limit: Objects in a page, 1 to 100; 100 by default.
            max_items: Objects in the whole walk, at most.
            starting_after: The id after which the walk starts.
            ending_before: The id before which the walk starts; it goes back to newer objects.
            cursor: Where an earlier walk stopped, from `Pager.cursor`.
            request_options: Options of each call.

        Returns:
            A pager: iterate it with `async for`, or await it for the first page.
        """
        paging = Paging(limit, max_items, starting_after, ending_before, cursor)
        endpoint = list_of(path, ids, into)
        return Pager(self._send, walk_over(endpoint, params, created, paging, request_options))


def _transport(given: Transport | None, config: Config) -> Transport:
    """Return the transport of a client; one that can pass requests on gets aiohttp's below it."""
    over: Callable[[Transport], Transport] | None = getattr(given, "over", None)
    if given is not None and over is None:
        return given
    own = AiohttpTransport(config)
    return own if over is None else over(own)


def _is_transport(value: object) -> bool:
    return all(callable(getattr(value, name, None)) for name in ("send", "aclose"))

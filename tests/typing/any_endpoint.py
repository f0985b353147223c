"""What a user's code infers of endpoints without a method; checked, never run."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, TypeVar

from attrs import frozen
from cattrs import Converter
from typing_extensions import TypedDict, assert_type

import pinstripe
from pinstripe import AsyncClient, Client, Page, Pager, Response
from pinstripe.events import EventOf
from pinstripe.sync._pager import Pager as SyncPager
from pinstripe.webhooks import Router

_T = TypeVar("_T")


@frozen
class Refund:
    id: str
    created: datetime


@frozen
class Nobody:
    amount: int


@frozen
class Box(Generic[_T]):
    id: str
    item: _T


class Keys(TypedDict):
    id: str


async def calls(stripe: AsyncClient, either: bool) -> None:
    path = "/v1/refunds"
    assert_type(await stripe.request("GET", path), Response)
    assert_type(await stripe.request("GET", path, into=Refund), Refund)
    assert_type(await stripe.request("GET", path, into=Keys), Keys)
    assert_type(await stripe.request("GET", path, into=Page[Refund]), Page[Refund])
    assert_type(await stripe.request("GET", path, into=list[Box[int]]), list[Box[int]])
    await stripe.request("GET", path, into=Refund | Nobody)
    await stripe.request("GET", path, into=5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    pager = stripe.list(path, into=Refund)
    assert_type(pager, Pager[Refund])
    assert_type(await pager, Page[Refund])
    async for one in pager.parallel():
        assert_type(one, Refund)
    assert_type(stripe.list(path, into=Box[int]), Pager[Box[int]])
    stripe.list(path, into=Refund | Box[int])
    stripe.list(path, into=Nobody)  # type: ignore[type-var]  # pyright: ignore[reportCallIssue, reportArgumentType]
    stripe.list(path, into=Keys)  # type: ignore[type-var]  # pyright: ignore[reportCallIssue, reportArgumentType]


def blocking(stripe: Client) -> None:
    assert_type(stripe.request("GET", "/v1/refunds"), Response)
    assert_type(stripe.request("GET", "/v1/refunds", into=Refund), Refund)
    assert_type(stripe.list("/v1/refunds", into=Refund), SyncPager[Refund])


def others(router: Router) -> None:
    converter: Converter = pinstripe.converter
    converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    assert_type(pinstripe.sketch("Refund", {}), str)

    @router.on("refund.created", into=Refund)
    async def created(event: EventOf[Refund]) -> None:
        assert_type(event.data.object, Refund)
        assert_type(event.data.previous_attributes, dict[str, Any] | None)

    @router.on("refund.created", into=Refund)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async def wrong(event: EventOf[Nobody]) -> None: ...

    @router.on("refund.created", into=Refund | Nobody)
    def either(event: EventOf[Refund | Nobody]) -> None: ...

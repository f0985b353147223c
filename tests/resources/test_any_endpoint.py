"""Endpoints without a method: answers and lists in classes of the caller."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any, Generic, Literal, NewType, TypeVar

import msgspec
import pytest
from attrs import field, frozen
from typing_extensions import TypedDict

import pinstripe
from pinstripe import (
    ConfigurationError,
    Created,
    DecodeError,
    Page,
    PaginationError,
    Response,
    ResponseError,
    UnfitError,
    export,
    sync,
)
from pinstripe._models.record import Private
from pinstripe.identity import VerificationSession
from pinstripe.testing import Call, FakeAPI
from tests.support.clean import PRIVATE, check_clean
from tests.support.hooks import hooks_taken_back

pytestmark = pytest.mark.anyio

_T = TypeVar("_T")

RefundId = NewType("RefundId", str)
PATH = "/v1/refunds"


@frozen(kw_only=True)
class Refund:
    id: str
    object: Literal["refund"] = "refund"
    amount: int
    created: datetime
    livemode: bool = False


@dataclass
class Bare:
    id: RefundId


class Keys(TypedDict):
    id: str


@frozen
class Numbered:
    id: int


@frozen
class Nobody:
    amount: int


@frozen
class Undated:
    id: str
    created: datetime | None = None


class Titled:
    """A class that is neither attrs nor a dataclass, and whose id is a property."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data

    @property
    def id(self) -> str:
        return str(self._data["id"])


@frozen
class Wrapped(Generic[_T]):
    id: _T
    created: datetime


@frozen(kw_only=True)
class Payout:
    object: Literal["payout"]
    id: str
    created: datetime


def refund(number: int) -> dict[str, Any]:
    created = 1_700_000_000 - 7 * (number // 3)
    return {"id": f"re_{number}", "object": "refund", "amount": number, "created": created}


REFUNDS = [refund(number) for number in range(250)]
IDS = [one["id"] for one in REFUNDS]


class Shelf:
    """The endpoints of refunds, as the API has them."""

    def __init__(self, refunds: list[dict[str, Any]]) -> None:
        self.refunds = refunds
        self.api = FakeAPI()
        self.api.on("GET", PATH).answer(self.page)
        self.api.on("GET", f"{PATH}/{{refund}}").answer(refunds[3])

    def page(self, call: Call) -> dict[str, Any]:
        limit, rest = int(call.params["limit"]), self.refunds
        upper = call.params.get("created", {}).get("lte")
        if upper is not None:
            rest = [one for one in rest if one["created"] <= int(upper)]
        if (after := call.params.get("starting_after")) is not None:
            rest = rest[[one["id"] for one in rest].index(after) + 1 :]
        page = rest[:limit]
        if (before := call.params.get("ending_before")) is not None:
            rest = rest[: [one["id"] for one in rest].index(before)]
            page = rest[-limit:]
        return {"object": "list", "data": page, "has_more": len(page) < len(rest)}


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(REFUNDS)


@pytest.fixture
def stripe(shelf: Shelf) -> Iterator[sync.Client]:
    with shelf.api.sync_client() as client:
        yield client


# --- one answer ---------------------------------------------------------------------------------


async def test_an_answer_in_a_class(shelf: Shelf) -> None:
    path, ids = f"{PATH}/{{refund}}", {"refund": "re_3"}
    async with shelf.api.client() as stripe:
        one = await stripe.request("GET", path, ids=ids, into=Refund)
        created = datetime.fromtimestamp(REFUNDS[3]["created"], timezone.utc)
        assert one == Refund(id="re_3", amount=3, created=created)
        assert await stripe.request("GET", path, ids=ids, into=Keys) == {"id": "re_3"}
        assert await stripe.request("GET", path, ids=ids, into=Refund | Payout) == one
        page = await stripe.request("GET", PATH, {"limit": 2}, into=Page[Refund])
        assert [item.id for item in page.data] == ["re_0", "re_1"]
        assert pinstripe.response_of(page).json()["has_more"] is True
        response = await stripe.request("GET", path, ids=ids)
        assert isinstance(response, Response)
        assert response.json() == REFUNDS[3]


def test_an_answer_in_a_class_without_await(stripe) -> None:
    one = stripe.request("GET", f"{PATH}/{{refund}}", ids={"refund": "re_3"}, into=Bare)
    assert one == Bare(RefundId("re_3"))


@pytest.mark.parametrize("into", [Refund, Keys])
def test_the_answer_of_another_object_is_refused(stripe, into) -> None:
    with pytest.raises(DecodeError, match="another object than the one asked for") as caught:
        stripe.request("GET", f"{PATH}/{{refund}}", ids={"refund": "re_4"}, into=into)
    assert caught.value.path == "$.id"
    assert caught.value.call == "GET /v1/refunds/{refund}"


def test_only_an_id_at_the_end_of_the_path_is_that_of_the_answer() -> None:
    api = FakeAPI()
    api.on("POST", "/v1/customers/{customer}/tax_ids").answer({"id": "txi_1"})
    api.on("GET", "/v1/customers/{customer}/tax_ids/{tax_id}").answer({"id": "txi_1"})
    with api.sync_client() as stripe:
        ids = {"customer": "cus_1"}
        made = stripe.request("POST", "/v1/customers/{customer}/tax_ids", ids=ids, into=Bare)
        path = "/v1/customers/{customer}/tax_ids/{tax_id}"
        found = stripe.request("GET", path, ids={**ids, "tax_id": "txi_1"}, into=Bare)
        assert made == found == Bare(RefundId("txi_1"))


def test_an_answer_of_the_other_mode_or_without_content_is_refused() -> None:
    api = FakeAPI()
    body = json.dumps({**REFUNDS[3], "livemode": True}).encode()
    api.on("GET", PATH).answer(Response(status=200, headers={}, body=body, livemode=False))
    api.on("GET", "/v1/empty").answer(Response(status=202, headers={}, body=b"{}"))
    with api.sync_client() as stripe:
        with pytest.raises(DecodeError) as caught:
            stripe.request("GET", PATH, into=Refund)
        assert caught.value.path == "$.livemode"
        with pytest.raises(ResponseError, match="202"):
            stripe.request("GET", "/v1/empty", into=Refund)


def test_an_answer_that_does_not_fit_says_where_and_no_value() -> None:
    api = FakeAPI()
    api.on("GET", "/v1/refunds/{refund}").answer({**REFUNDS[3], "amount": PRIVATE})
    with api.sync_client() as stripe, pytest.raises(DecodeError) as caught:
        stripe.request("GET", f"{PATH}/{{refund}}", ids={"refund": "re_3"}, into=Refund)
    says = "not a Refund: Expected `int`, got `str` at $.amount (status 200, request req_fake)"
    assert str(caught.value) == f"GET /v1/refunds/{{refund}}: {says}"
    check_clean(caught.value)


def test_a_hook_for_a_model_is_obeyed_in_every_call() -> None:
    api = FakeAPI()
    api.on("GET", "/v1/identity/verification_sessions/{id}").answer({"id": "vs_1"})
    with hooks_taken_back() as converter, api.sync_client() as stripe:
        converter.register_structure_hook(VerificationSession, lambda value, _: Bare(**value))
        made: Any = stripe.identity.verification_sessions.retrieve("vs_1")
        assert made == Bare(RefundId("vs_1"))


# --- lists --------------------------------------------------------------------------------------


@pytest.mark.parametrize("into", [Refund, Bare, Undated, Refund | Payout, Wrapped[str]])
def test_a_walk(stripe, into) -> None:
    assert [one.id for one in stripe.list(PATH, into=into)] == IDS
    newer = stripe.list(PATH, into=into, ending_before="re_201", limit=30)
    assert [one.id for one in newer] == IDS[200::-1]
    pager = stripe.list(PATH, {"expand": ["data.charge"]}, into=into, max_items=7)
    assert [one.id for one in pager] == IDS[:7]
    rest = stripe.list(PATH, into=into, cursor=pager.cursor)
    assert [one.id for one in rest] == IDS[7:]
    assert repr(rest) == "Pager('/v1/refunds')"


def test_a_class_that_only_a_hook_can_build(stripe) -> None:
    with hooks_taken_back() as converter:
        converter.register_structure_hook(Titled, lambda value, _: Titled(value))
        assert [one.id for one in stripe.list(PATH, into=Titled)] == IDS


async def test_a_parallel_walk(shelf: Shelf) -> None:
    async with shelf.api.client() as stripe:
        for into in (Refund, Wrapped[str]):
            pager = stripe.list(PATH, into=into, created=Created())
            assert [one.id async for one in pager.parallel(4)] == IDS
        page = await stripe.list(PATH, into=Refund, limit=2)
        assert [one.id for one in page] == IDS[:2]


def test_a_list_below_an_object(shelf: Shelf) -> None:
    shelf.api.on("GET", "/v1/customers/{customer}/refunds").answer(shelf.page)
    with shelf.api.sync_client() as stripe:
        path = "/v1/customers/{customer}/refunds"
        walk = stripe.list(path, into=Bare, ids={"customer": "cus_1"})
        assert [one.id for one in walk] == IDS
        assert repr(walk) == "Pager('/v1/customers/{customer}/refunds')"
    assert {call.ids["customer"] for call in shelf.api.calls} == {"cus_1"}


@pytest.mark.parametrize("into", [Refund, Refund | Payout])
def test_objects_that_do_not_fit_are_left_out(into) -> None:
    refunds = [*REFUNDS[:4], {**REFUNDS[4], "amount": PRIVATE}, *REFUNDS[5:150]]
    with Shelf(refunds).api.sync_client() as stripe:
        left_out: list[UnfitError] = []
        walk = stripe.list(PATH, into=into, created=Created()).skip_unfit(left_out.append)
        wanted = [*IDS[:4], *IDS[5:150]]
        assert [one.id for one in walk] == [one.id for one in walk.parallel(2)] == wanted
        assert [error.id for error in left_out] == ["re_4", "re_4"]
        assert left_out[0].path == "$.data[4].amount"
        with pytest.raises(UnfitError) as caught:
            list(stripe.list(PATH, into=into))
        check_clean(caught.value)


@pytest.mark.parametrize(
    ("arguments", "argument", "says"),
    [
        ({"into": Nobody}, "into", "Nobody needs the attribute `id` of type str"),
        ({"into": Numbered}, "into", "Numbered needs the attribute `id`"),
        ({"into": Keys}, "into", "Keys needs the attribute `id`"),
        ({"into": Refund | Nobody}, "into", r"Refund \| Nobody needs"),
        ({"into": dict[str, Any]}, "into", "dict needs the attribute `id`"),
        ({"into": Titled}, "into", "without a hook for Titled"),
        ({"into": None}, "into", "needs the attribute `id`"),
        ({"into": Bare, "params": {"limit": 5}}, r"params[limit]", "must be passed as limit"),
        ({"into": Bare, "params": {"created": 5}}, r"params[created]", "passed as created"),
        ({"into": Bare, "params": 5}, "params", "must be a mapping"),
        ({"into": Bare, "params": {"expand": "a"}}, "expand", "must be a list"),
        ({"into": Bare, "created": 5}, "created", "must be a Created"),
        ({"into": Bare, "ids": {"a": "b"}}, "ids", "placeholders"),
        ({"into": Bare, "limit": 0}, "limit", "must be a whole number"),
    ],
)
def test_a_list_that_cannot_be_walked_is_refused(shelf, stripe, arguments, argument, says) -> None:
    with pytest.raises(ConfigurationError, match=says) as refused:
        stripe.list(PATH, **arguments)
    assert refused.value.argument == argument
    with pytest.raises(ConfigurationError, match="must begin with /v1"):
        stripe.list("/v2/core/accounts", into=Bare)
    with pytest.raises(ConfigurationError, match="without a hook for Titled"):
        stripe.request("GET", PATH, into=Titled)
    assert not shelf.api.calls


@pytest.mark.parametrize("into", [Bare, Undated])
def test_a_parallel_walk_needs_the_filter_and_the_time(shelf, stripe, into) -> None:
    with pytest.raises(ConfigurationError, match="no windows of created"):
        stripe.list(PATH, into=Refund).parallel()
    with pytest.raises(ConfigurationError, match="a class with the field `created`"):
        stripe.list(PATH, into=into, created=Created()).parallel()
    assert not shelf.api.calls


def test_times_without_a_zone_end_a_parallel_walk(stripe) -> None:
    with hooks_taken_back() as converter:
        converter.register_structure_hook(datetime, lambda value, _: datetime.fromtimestamp(value))  # noqa: DTZ006 -- as it must not be
        walk = stripe.list(PATH, into=Refund, created=Created())
        assert [one.id for one in walk] == IDS
        with pytest.raises(PaginationError, match="have no time zone"):
            list(walk.parallel())


# --- exports ------------------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"


@dataclass
class Inner:
    id: str
    city: str
    street: str = dataclass_field(default="", repr=False)


class Tags(msgspec.Struct):
    first: str
    secret: Private[str] = ""


@frozen
class Thing:
    id: RefundId
    colour: Colour
    inner: Inner
    customer: str | Inner
    tags: Tags | None
    parent: Thing | None = None
    keys: Keys | None = None
    listed: list[Inner] = field(factory=list)
    email: str = field(default="", repr=False)


INNER = {"id": "in_1", "city": "Oslo", "street": PRIVATE}
THING = {
    "id": "th_1",
    "colour": "red",
    "inner": INNER,
    "customer": INNER,
    "tags": {"first": "a", "secret": PRIVATE},
    "keys": {"id": "k"},
    "listed": [INNER],
    "email": PRIVATE,
}


@pytest.mark.parametrize("created", [None, Created()])
async def test_an_export(shelf: Shelf, tmp_path: Path, created: Created | None) -> None:
    output = tmp_path / "refunds.csv"
    async with shelf.api.client() as stripe:
        for into, columns in ((Refund, "id,object,amount,created,livemode"), (Bare, "id")):
            walk = stripe.list(PATH, into=into, created=created)
            assert await export.to_file(walk, output, overwrite=True) == 250
            head, first, *rows = output.read_text().splitlines()
            assert head == columns
            assert first.startswith("re_0")
            assert len(rows) == 249


@pytest.mark.parametrize("reveal", [False, True])
def test_the_columns_of_a_class(tmp_path: Path, reveal: bool) -> None:
    output = tmp_path / "things.jsonl"
    with Shelf([THING] * 4).api.sync_client() as stripe:
        sync.to_file(stripe.list(PATH, into=Thing, max_items=1), output, reveal=reveal)
    row = json.loads(output.read_text())
    listed = {"id": "in_1", "city": "Oslo", **({"street": PRIVATE} if reveal else {})}
    assert row == {
        "id": "th_1",
        "colour": "red",
        "inner.id": "in_1",
        "inner.city": "Oslo",
        **({"inner.street": PRIVATE} if reveal else {}),
        "customer": "in_1",
        "tags.first": "a",
        **({"tags.secret": PRIVATE} if reveal else {}),
        "parent": None,
        "keys": '{"id":"k"}',
        "listed": json.dumps([listed], separators=(",", ":")),
        **({"email": PRIVATE} if reveal else {}),
    }


def test_a_union_has_no_columns(shelf, stripe, tmp_path) -> None:
    with pytest.raises(ConfigurationError, match=r"one class with fields.*Refund \| Payout") as no:
        sync.to_file(stripe.list(PATH, into=Refund | Payout), tmp_path / "refunds.csv")
    assert no.value.argument == "pager"
    assert not shelf.api.calls

"""What a cassette leaves out: keys, secrets and private values, wherever they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

import pinstripe
from pinstripe import climate, crypto, events, files, forwarding, identity, webhook_endpoints
from pinstripe.sync import Client
from pinstripe.testing import Answer, Cassette, FakeAPI, refusal
from tests.support.models import is_amount

MODELS = [
    *(climate.Order, climate.Product, climate.Supplier, crypto.OnrampSession, crypto.Quotes),
    *(files.File, files.FileLink, forwarding.ForwardingRequest, webhook_endpoints.WebhookEndpoint),
    *(identity.VerificationReport, identity.VerificationSession, events.Event),
]


class Filler:
    """Fills every field of a model, and remembers what it put where."""

    def __init__(self) -> None:
        self.private: list[str] = []
        self._numbers = count(1)

    def fill(self, node: Any, *, private: bool, name: str = "") -> Any:  # noqa: C901 -- a table
        n = next(self._numbers)
        if name == "links":  # a file has links, which have files
            return None
        match node:
            case inspect.Metadata(type=inner):
                return self.fill(inner, private=private, name=name)
            case inspect.StructType(cls=cls):
                hidden = {each.name for each in attrs.fields(cls) if not each.repr}
                return {
                    each.encode_name: self.fill(
                        each.type, private=private or each.name in hidden, name=each.name
                    )
                    for each in node.fields
                }
            case inspect.UnionType() if is_amount(node):
                return "12.50"
            case inspect.UnionType(types=options):
                some = [each for each in options if not isinstance(each, inspect.NoneType)]
                structs = [each for each in some if isinstance(each, inspect.StructType)]
                texts = [each for each in some if isinstance(each, inspect.StrType)]
                chosen = [*structs, *(texts if private else ()), *some][0]
                return self.fill(chosen, private=private, name=name)
            case inspect.LiteralType(values=values):
                return values[0]
            case inspect.VarTupleType(item_type=item):
                return [self.fill(item, private=private, name=name)]
            case inspect.DictType(value_type=value):
                return {"a_key": self.fill(value, private=private, name=name)}
            case inspect.BoolType():
                return True
            case inspect.IntType() | inspect.DateTimeType() | inspect.FloatType():
                return self._kept(1_000_000 + n, private=private)
            case inspect.AnyType():
                return True if name == "has_more" else self._kept(f"Any thing {n}", private=private)
            case _:
                text = f"Jenny No. {n}" if private else f"word_{n}"
                return self._kept(text, private=private)

    def _kept(self, value: Any, *, private: bool) -> Any:
        if private:
            self.private.append(str(value))
        return value


def recorded(answer: Answer, path: Path) -> str:
    """Record an answer, and return the text of the cassette."""
    fake = FakeAPI()
    fake.on("GET", "/v1/things/{id}").answer(answer)
    with Cassette(path, mode="record") as cassette:
        options = {"transport": cassette.over(fake), "retry": pinstripe.RetryPolicy(max_attempts=1)}
        with Client("sk_test_1", **options) as stripe:  # type: ignore[arg-type]
            ask(stripe)
    return path.read_text(encoding="utf-8")


def ask(stripe: Client) -> pinstripe.Response | None:
    try:
        return stripe.request("GET", "/v1/things/{id}", ids={"id": "thing_1"})
    except pinstripe.APIError:
        return None


def body_of(text: str) -> Any:
    return json.loads(text)["exchanges"][0]["answer"]["json"]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_private_fields_are_left_out_and_the_rest_is_kept(model: Any, tmp_path: Path) -> None:
    filler = Filler()
    data = filler.fill(inspect.type_info(model), private=False)
    if model is events.Event:
        session = Filler()
        node = inspect.type_info(identity.VerificationSession)
        data["data"]["object"] = session.fill(node, private=False)
        data["data"]["previous_attributes"] = {"status": "processing", "url": "https://a.b/Jenny"}
        data["request"] = {"id": "req_1", "idempotency_key": None}
        filler.private = [*session.private, "Jenny"]
    path = tmp_path / "one.json"
    text = recorded(data, path)
    assert not [value for value in filler.private if f'"{value}"' in text or f" {value}" in text]
    assert "Jenny" not in text
    assert_public_kept(model, data, body_of(text))
    with Cassette(path).sync_client() as stripe:
        answer = ask(stripe)
    assert answer is not None
    read = pinstripe.from_dict(model, answer.json())
    assert repr(read) == repr(pinstripe.from_dict(model, data))


def assert_public_kept(model: Any, data: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    assert kept.keys() == data.keys()
    for each in attrs.fields(model):
        if each.repr and not isinstance(data[each.name], (dict, list)):
            assert kept[each.name] == data[each.name], each.name


def test_a_list_is_of_its_objects(tmp_path: Path) -> None:
    session = {"object": "identity.verification_session", "id": "vs_1", "client_secret": "s s"}
    page = {"object": "list", "data": [session], "has_more": False, "url": "/v1/things"}
    body = body_of(recorded(page, tmp_path / "one.json"))
    kept = {**session, "client_secret": "[client_secret 1]"}
    assert body == {**page, "data": [kept]}


def test_what_no_model_knows_is_judged_by_its_name_and_its_look(tmp_path: Path) -> None:
    customer = {
        "object": "customer",
        "id": "cus_1",
        "created": 1_790_000_000,
        "balance": 0,
        "currency": "usd",
        "phone": 5_550_001,
        "email": "jenny@example.com",
        "nickname": "jenny",
        "tagline": "A person",
        "joined": "2026-01-02",
        "seen": "2026-01-02T03:04:05Z",
        "score": 1.5,
        "name_score": 2.5,
        "has_name": True,
        "rate": "12.50",
        "portal": "https://example.com/jenny",
        "empty": "",
        "none": None,
        "tags": ["a", "Jenny R"],
        "hooks": {"signing": "whsec_abc", "id": "we_1"},
        "odd": "[email 1]",
    }
    path = tmp_path / "one.json"
    body = body_of(recorded(customer, path))
    assert body == {
        **customer,
        "phone": "[phone 1: integer]",
        "email": "[email 1: address]",
        "nickname": "[nickname 1]",
        "tagline": "[tagline 1]",
        "joined": "[joined 1: date]",
        "seen": "[seen 1: time]",
        "name_score": "[name_score 1: number]",
        "has_name": "[has_name 1: boolean]",
        "rate": "[rate 1: decimal]",
        "portal": "[portal 1: url]",
        "tags": ["a", "[tags 1]"],
        "hooks": {"signing": "[secret 1: secret]", "id": "we_1"},
        "odd": "[odd 1]",
    }
    with Cassette(path).sync_client() as stripe:
        answer = ask(stripe)
    assert answer is not None
    assert answer.json() == {
        **customer,
        "phone": 1,
        "email": "email-1@private.invalid",
        "nickname": "[nickname 1]",
        "tagline": "[tagline 1]",
        "joined": "1901-01-01",
        "seen": "1901-01-01T00:00:00Z",
        "name_score": 1.5,
        "has_name": False,
        "rate": "1.00",
        "portal": "https://private.invalid/portal/1",
        "tags": ["a", "[tags 1]"],
        "hooks": {"signing": "whsec_private1", "id": "we_1"},
        "odd": "[odd 1]",
    }


def test_newer_fields_of_a_model_are_judged_too(tmp_path: Path) -> None:
    session = {
        "object": "identity.verification_session",
        "id": "vs_1",
        "status": {"now": "Jenny"},
        "birth_place": "Paris",
        "selfies": ["https://files.example/1?sig=a"],
        "last_error": {"code": "abandoned", "reason": "It was left.", "who": "Jenny R"},
        "related_person": [7, None],
    }
    body = body_of(recorded(session, tmp_path / "one.json"))
    assert body["status"] == {"now": "[now 1]"}
    assert body["birth_place"] == "[birth_place 1]"
    assert body["selfies"] == ["[selfies 1: url]"]
    assert body["last_error"] == {"code": "abandoned", "reason": "It was left.", "who": "[who 1]"}
    assert body["related_person"] == [7, None]


def test_the_data_of_an_event_of_another_kind_is_judged_by_its_look(tmp_path: Path) -> None:
    event = {
        "object": "event",
        "id": "evt_1",
        "type": "customer.updated",
        "request": {"id": "req_1", "idempotency_key": "of-jenny"},
        "data": {
            "object": {"object": "customer", "id": "cus_1", "email": "jenny@example.com"},
            "previous_attributes": {"email": "jen@example.com", "currency": "usd"},
            "note": "Jenny R",
        },
    }
    body = body_of(recorded(event, tmp_path / "one.json"))
    assert body["request"] == {"id": "req_1", "idempotency_key": "[idempotency_key 1]"}
    assert body["data"] == {
        "object": {"object": "customer", "id": "cus_1", "email": "[email 1: address]"},
        "previous_attributes": {"email": "[email 2: address]", "currency": "usd"},
        "note": "[note 1]",
    }
    del event["data"]["object"]["object"]  # type: ignore[index]
    assert "Jen" not in recorded(event, tmp_path / "one.json").title().replace("Jenny", "Jen", 0)
    event["data"] = {"object": "Jenny R"}
    assert "Jenny" not in recorded(event, tmp_path / "one.json")


def test_a_refusal_is_without_what_it_quotes(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    fake = FakeAPI()
    told = (
        "No user Jenny Rosen (tom@example.com, +1 555 000 1234) with key sk_test_abc for vs_1234567"
    )
    body = {
        "error": {
            "type": "invalid_request_error",
            "code": "parameter_invalid",
            "param": "metadata[user]",
            "message": told,
            "doc_url": "https://docs.stripe.com/error-codes",
            "request_log_url": "https://dashboard.stripe.com/acct_1/logs",
            "decline_code": None,
            "person": {"name": "Jenny Rosen"},
        },
        "more": "Jenny R",
    }
    answer = pinstripe.Response(
        status=400,
        headers={"Content-Type": "application/json", "Request-Id": "req_1", "Set-Cookie": "a=b"},
        body=json.dumps(body).encode(),
    )
    fake.on("POST", "/v1/things").answer(answer)

    def create(stripe: Client) -> str:
        with pytest.raises(pinstripe.InvalidRequestError) as caught:
            stripe.request("POST", "/v1/things", {"metadata": {"user": "Jenny Rosen"}})
        return caught.value.message

    with Cassette(path) as cassette, Client("sk_test_1", transport=cassette.over(fake)) as stripe:
        first = create(stripe)
    (exchange,) = json.loads(path.read_text(encoding="utf-8"))["exchanges"]
    assert exchange["answer"]["headers"] == {
        "Content-Type": "application/json",
        "Request-Id": "req_1",
    }
    assert exchange["answer"]["json"] == {
        "error": {
            "type": "invalid_request_error",
            "code": "parameter_invalid",
            "param": "metadata[user]",
            "message": "No user [user 1] ([value 1], +[value 2]) with key [secret 1]"
            " for vs_1234567",
            "doc_url": "https://docs.stripe.com/error-codes",
            "request_log_url": "[request_log_url 1: url]",
            "decline_code": None,
            "person": {"name": "[user 1]"},
        },
        "more": "[more 1]",
    }
    with Cassette(path).sync_client() as stripe:
        again = create(stripe)
    assert first.startswith("No user [metadata[user]] (")
    assert again.startswith("No user [metadata[user]] (")


def test_what_is_no_json_is_left_out_whole(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    html = pinstripe.Response(status=502, headers={"Content-Type": "text/html"}, body=b"<p>Jenny")
    assert "Jenny" not in recorded(html, path)
    broken = {"Content-Type": "application/json"}
    assert "Jenny" not in recorded(
        pinstripe.Response(status=500, headers=broken, body=b'{"a": "Jenny'), path
    )
    once = pinstripe.RetryPolicy(max_attempts=1)
    client = Cassette(path).sync_client(retry=once)
    with client as stripe, pytest.raises(pinstripe.ServerError) as caught:
        stripe.request("GET", "/v1/things/{id}", ids={"id": "thing_1"})
    assert len(caught.value.body) == 12
    text = recorded(pinstripe.Response(status=200, headers={}, body=b""), path)
    assert '"status": 200\n' in text
    with Cassette(path).sync_client() as stripe:
        answer = ask(stripe)
    assert answer is not None
    assert answer.body == b""
    assert body_of(recorded({"data": [1]}, path)) == {"data": [1]}
    listed = pinstripe.Response(status=200, headers=broken, body=b"[1]")
    assert body_of(recorded(listed, path)) == [1]


def test_prose_that_is_too_long_is_left_out_whole(tmp_path: Path) -> None:
    body = body_of(recorded(refusal(400, message="a b " * 2000), tmp_path / "one.json"))
    assert body["error"]["message"] == "[text 1]"


NAMES = st.sampled_from(["user", "email", "a_b", "jenny@x.y", "0"])
TEXTS = st.text(min_size=1, max_size=20).map(lambda text: f"Ω{text}Ω")


@given(metadata=st.dictionaries(NAMES, TEXTS, min_size=1, max_size=4), second=TEXTS)
def test_whatever_is_sent_is_not_in_the_file_and_comes_back(
    metadata: dict[str, str], second: str
) -> None:
    def echo(call: Any) -> Answer:
        sent = call.params["metadata"]
        return {"object": "thing", "metadata": sent, "note": f"about {list(sent)} {second}"}

    def create(stripe: Client) -> Any:
        return stripe.request("POST", "/v1/things", {"metadata": metadata, "b": second}).json()

    fake = FakeAPI()
    fake.on("POST", "/v1/things").answer(echo)
    with TemporaryDirectory() as folder:
        path = Path(folder, "one.json")
        with Cassette(path) as cassette:
            client = Client("sk_test_1", transport=cassette.over(fake))
            with client as stripe:
                first = create(stripe)
        text = path.read_text(encoding="utf-8")
        with Cassette(path).sync_client() as stripe:
            again = create(stripe)
    assert "Ω" not in text
    assert "jenny" not in text
    assert again["metadata"] == first["metadata"]


def test_a_word_that_is_private_somewhere_is_private_where_no_type_says_otherwise(
    tmp_path: Path,
) -> None:
    path = tmp_path / "one.json"
    fake = FakeAPI()
    fake.on("POST", "/v1/things").answer(lambda call: {"object": "thing", **call.params})
    sent = {"kind": "jenny", "session": "vs_1", "metadata": {"user": "jenny", "of": "vs_1"}}
    with Cassette(path) as cassette, Client("sk_test_1", transport=cassette.over(fake)) as stripe:
        stripe.request("POST", "/v1/things", sent)
    (exchange,) = json.loads(path.read_text(encoding="utf-8"))["exchanges"]
    metadata = {"user": "[user 1]", "of": "[of 1]"}
    kept = {"kind": "[user 1]", "session": "vs_1", "metadata": metadata}
    assert exchange["request"]["params"] == kept
    assert exchange["answer"]["json"] == {"object": "thing", **kept}
    with Cassette(path).sync_client() as stripe:
        assert stripe.request("POST", "/v1/things", sent).json() == {"object": "thing", **sent}

"""Errors: which one an answer becomes, what their text may say, and what survives a pickle."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import pinstripe
from pinstripe._core.errors import APIError, IdempotencyError, PinstripeError, with_response
from pinstripe._core.redaction import clean_request_id, clean_text, redact
from pinstripe._core.refusals import error_for

# Error bodies as the API documents them.
PARAMETER_MISSING = {
    "type": "invalid_request_error",
    "code": "parameter_missing",
    "message": "The product is needed.",
    "param": "product",
    "doc_url": "https://stripe.com/docs/error-codes/parameter-missing",
    "request_log_url": "https://dashboard.stripe.com/acct_0/test/logs/req_T52k7FrIkTHi1q",
}
PARAMETER_UNKNOWN = {
    "type": "invalid_request_error",
    "code": "parameter_unknown",
    "message": "This name is not known: wallet_addresses[base]",
    "param": "wallet_addresses[base]",
    "doc_url": "https://stripe.com/docs/error-codes/parameter-unknown",
}
RESOURCE_MISSING = {
    "type": "invalid_request_error",
    "code": "resource_missing",
    "message": "Nothing is stored under climorder_none.",
    "param": "order",
    "doc_url": "https://stripe.com/docs/error-codes/resource-missing",
}
UNAUTHORIZED = {
    "type": "invalid_request_error",
    "message": "This key is not valid: sk_test_****0000",
}
IDEMPOTENCY = {
    "type": "idempotency_error",
    "message": "The key was used before with other parameters.",
}
ONRAMP_DISABLED = {
    "type": "api_error",
    "code": "crypto_onramp_disabled",
    "message": "New sessions are switched off for now.",
    "updated": 1790510100,
}
SERVER = {"type": "api_error", "message": "Something broke on our side."}


def body_of(facts: object) -> bytes:
    return json.dumps({"error": facts}).encode()


CLASSES = [
    (400, PARAMETER_MISSING, pinstripe.InvalidRequestError, "rejected"),
    (400, PARAMETER_UNKNOWN, pinstripe.InvalidRequestError, "rejected"),
    (402, {"type": "card_error"}, pinstripe.InvalidRequestError, "rejected"),
    (418, {}, pinstripe.InvalidRequestError, "unknown"),
    (401, UNAUTHORIZED, pinstripe.AuthenticationError, "rejected"),
    (403, {"type": "api_error"}, pinstripe.PermissionDeniedError, "rejected"),
    (404, RESOURCE_MISSING, pinstripe.NotFoundError, "rejected"),
    (409, {}, pinstripe.ConflictError, "unknown"),
    (409, {"type": "x", "code": "lock_timeout"}, pinstripe.ConflictError, "rejected"),
    (400, IDEMPOTENCY, pinstripe.IdempotencyError, "rejected"),
    (409, {"type": "x", "code": "idempotency_key_in_use"}, pinstripe.IdempotencyError, "unknown"),
    (429, {"type": "x", "code": "lock_timeout"}, pinstripe.RateLimitError, "rejected"),
    (500, SERVER, pinstripe.ServerError, "unknown"),
    (503, ONRAMP_DISABLED, pinstripe.ServerError, "unknown"),
    (599, {}, pinstripe.ServerError, "unknown"),
]


@pytest.mark.parametrize(("status", "facts", "kind", "outcome"), CLASSES)
def test_the_class_follows_status_and_envelope(status, facts, kind, outcome) -> None:
    headers = {"Request-Id": "req_1"}
    body = body_of(facts)
    error = error_for(status, headers, body, retry_after=1.5)
    assert type(error) is kind
    assert error.outcome == outcome
    assert (error.status, error.headers, error.body) == (status, headers, body)
    assert error.request_id == "req_1"
    assert error.retry_after == 1.5
    said = facts.get("message", f"the server answered {status}")
    assert error.message == str(error) == f"the server asks to wait 1.5 s: {said}"
    assert error_for(status, headers, body).message == said
    for other in ({}, {"Request-Id": "req 1"}, {"Request-Id": "x" * 65}):
        assert error_for(status, other, body).outcome == "unknown"
    for name in ("type", "code", "param", "doc_url"):
        assert getattr(error, name) == facts.get(name)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the server answered 502"),
        (b"<html>Bad Gateway</html>", "the server answered 502"),
        (b"\xff\xfe{", "the server answered 502"),
        (b"null", "the server answered 502"),
        (b"[]", "the server answered 502"),
        (b'"x"', "the server answered 502"),
        (b"{}", "the server answered 502"),
        (b'{"error": null}', "the server answered 502"),
        (b'{"error": [1]}', "the server answered 502"),
        (b'{"error": "no such upstream"}', "no such upstream"),
        (b'{"error": {"message": {"a": 1}, "type": 5}}', "the server answered 502"),
        (b'{"error": {"message": ""}}', "the server answered 502"),
        (b"[" * 100_000, "the server answered 502"),
        (b"9" * 100_000, "the server answered 502"),
    ],
)
def test_bodies_of_proxies_give_an_error_without_facts(body, message) -> None:
    error = error_for(502, {}, body)
    assert type(error) is pinstripe.ServerError
    assert error.message == message
    assert error.type is None
    assert error.body == body


SECRETS = [
    "sk_test_4eC39HqLyjWDarjtT1zdp7dc",
    "rk_live_51H7x",
    "rk_test_1",
    "pk_live_1",
    "sk_org_1",
    "whsec_MIGfMA0GCSqGSIb3",
    "vs_1MxSe_secret_dGVzdA",
    "cos_1_secret_x_y",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("frame", ["{}", "key {}.", "Bearer%20{}", "a={}&b", "é{}", "\\n{}"])
def test_secrets_are_cut_out_of_every_text(secret, frame) -> None:
    facts = dict.fromkeys(("message", "code", "param", "doc_url", "type"), frame.format(secret))
    error = error_for(400, {}, body_of(facts))
    shown = repr(error) + str(error) + "".join(str(getattr(error, name)) for name in facts)
    assert secret not in shown
    assert secret.rpartition("_")[2] not in shown or len(secret.rpartition("_")[2]) < 3
    assert "[secret]" in error.message


SENT = {
    "name": "Jenny Rosen",
    "email": "jenny+1@mail.example",
    "dob[year]": "1985",
    "limit": "5",
    "first_name": "Jenny",
    "empty": "",
}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("no mail reaches jenny+1@mail.example.", "no mail reaches [email]."),
        ("?email=jenny%2B1%40mail.example&a=b", "?email=[email]&a=b"),
        ("'Jenny Rosen' and Jenny are too long", "'[name]' and [first_name] are too long"),
        ("nobody is of 1985, or of 19850", "nobody is of [dob[year]], or of 19850"),
        ("at most 5 of Jennys", "at most 5 of Jennys"),
    ],
)
def test_what_was_sent_is_not_repeated(said, shown) -> None:
    assert redact(said, SENT) == shown
    error = error_for(400, {}, body_of({"message": said, "param": said}), sent=SENT)
    assert error.message == error.param == shown
    assert error_for(400, {}, json.dumps({"error": said}).encode(), sent=SENT).message == shown
    assert redact(said, {}) == said


def test_names_of_the_api_are_the_same_whatever_was_sent() -> None:
    facts = {"type": "idempotency_error", "code": "resource_missing", "param": "options[file]"}
    sent = {"filename": "file", "metadata[a]": "idempotency_error", "metadata[b]": facts["code"]}
    error = error_for(400, {}, body_of({**facts, "message": "no such file"}), sent=sent)
    assert type(error) is IdempotencyError
    assert {name: getattr(error, name) for name in facts} == facts
    assert error.message == "no such [filename]"


@pytest.mark.parametrize(
    "code",
    [
        "upstream_connection_error",
        "upstream_connection_timeout",
        "upstream_error",
        "retryable_upstream_error",
    ],
)
def test_a_destination_without_an_answer_may_have_acted(code) -> None:
    for name, outcome in ((code, "unknown"), ("inactive", "rejected")):
        body = body_of({"type": "api_error", "code": f"forwarding_api_{name}"})
        assert error_for(424, {"Request-Id": "req_1"}, body).outcome == outcome


def test_what_was_sent_is_not_repeated_in_part_where_a_text_is_cut() -> None:
    said = "x" * 1015 + " Jenny Rosen"
    assert "Jen" not in error_for(400, {}, body_of({"message": said}), sent=SENT).message


@given(st.dictionaries(st.text(), st.text(max_size=9), max_size=9), st.text(), st.text())
def test_any_values_can_be_sent_and_said(sent, before, after) -> None:
    for value in sent.values():
        redact(before + value + after, sent)


def test_masked_keys_and_plain_words_stay() -> None:
    text = "This key is not valid: sk_test_****0000; no client_secret is sent, no secret_x"
    assert clean_text(text) == text


@given(st.text(), st.sampled_from(SECRETS), st.text())
def test_no_surrounding_uncovers_a_secret(before, secret, after) -> None:
    if secret.startswith(("vs_", "cos_")):
        before += " "  # the id in front of _secret_ reads as one word with what precedes it
    assert secret not in clean_text(before + secret + after)


@given(st.text(st.characters(), max_size=3000))
@example("\ud800\udfff")
@example("\x1b[31mred\x07\u202e\u2028\u200b")
@example("é" * 2000)
@example("a" + "é" * 2000)
@example("\U0001f600" * 300)
def test_cleaned_text_is_one_printable_line_of_a_kilobyte(text) -> None:
    cleaned = clean_text(text)
    assert cleaned.isprintable()
    assert len(cleaned.encode()) <= 1024
    assert clean_text(cleaned) == cleaned


def test_what_is_done_to_text_to_the_letter() -> None:
    assert clean_text("a\x1b[31m\nb sk_test_abc c") == "a [31m b [secret] c"
    assert clean_text("a" * 1025) == "a" * 1024
    assert clean_text("sk_test_" + "a" * 4000 + " end") == "[secret] end"
    assert clean_text("sk_test_" + "a" * 4088 + " end") == "[secret]"


@given(st.text(st.characters(categories=["L", "Nd"]), max_size=200))
def test_ordinary_text_is_left_as_it_is(text) -> None:
    assert clean_text(text) == text


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
envelopes = st.fixed_dictionaries(
    {},
    optional={
        name: json_values | st.sampled_from(SECRETS)
        for name in ("message", "type", "code", "param", "doc_url", "decline_code")
    },
)
bodies = st.binary() | envelopes.map(body_of) | json_values.map(lambda v: json.dumps(v).encode())


@given(st.integers(300, 599), bodies, st.text())
def test_any_answer_gives_an_error_that_is_safe_to_print(status, body, request_id) -> None:
    error = error_for(status, {"Request-Id": request_id}, body)
    texts = [error.message, error.type, error.code, error.param, error.doc_url, error.request_id]
    for text in [str(error), *(text for text in texts if text is not None)]:
        assert text.isprintable()
        assert len(text.encode()) <= 1024
        assert not any(secret in text for secret in SECRETS)
    assert error.message
    assert error.body == body


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        ("req_T52k7FrIkTHi1q", "req_T52k7FrIkTHi1q"),
        ("x" * 64, "x" * 64),
        ("x" * 65, None),
        ("", None),
        (None, None),
        ("req 1", None),
        ("req_1\n", None),
        ("req_\x1b[31m", None),
        ("req_é", None),
    ],
)
def test_request_ids_are_short_and_printable_or_nothing(value, cleaned) -> None:
    assert clean_request_id(value) == cleaned


def make(kind: type[PinstripeError]) -> PinstripeError:
    if kind is pinstripe.ConfigurationError:
        return pinstripe.ConfigurationError("options[document]", "is wrong")
    if kind is pinstripe.SignatureError:
        return pinstripe.SignatureError("too_old", "is too old")
    return kind("it went wrong")


def all_kinds(kind: type[PinstripeError] = PinstripeError) -> list[type[PinstripeError]]:
    return [kind, *(inner for sub in kind.__subclasses__() for inner in all_kinds(sub))]


KINDS = sorted(set(all_kinds()), key=lambda kind: kind.__name__)
COPIES = {
    "pickle": lambda error: pickle.loads(pickle.dumps(error)),
    "pickle 2": lambda error: pickle.loads(pickle.dumps(error, protocol=2)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES.keys())
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_keeps_everything_but_the_answer(kind, copied) -> None:
    error = make(kind)
    error.outcome, error.idempotency_key, error.attempts = "unknown", "key-1", 3
    error.request_id = "req_1"
    state = {"path": "$.a", "cursor": "starting_after:vs_1", "items_read": 7, "retry_after": 2.0}
    for name, value in {**state, "type": "t", "code": "c", "param": "p", "doc_url": "d"}.items():
        if hasattr(kind, name):
            setattr(error, name, value)
    if hasattr(kind, "status"):
        answer = ({"Request-Id": "req_1", "X": "PRIVATE"}, b"PRIVATE")
        assert with_response(error, 500, *answer) is error
    twin = copied(error)
    assert type(twin) is kind
    assert twin.args == error.args
    assert str(twin) == str(error) == error.message
    kept = {name: value for name, value in vars(error).items() if name not in ("headers", "body")}
    assert vars(twin) == kept
    if hasattr(kind, "status"):
        assert twin.status == 500
        assert (dict(twin.headers), twin.body) == ({}, b"")
    assert b"PRIVATE" not in pickle.dumps(error)


@pytest.mark.parametrize("kind", KINDS)
def test_the_outcome_of_a_class_until_a_call_says_otherwise(kind) -> None:
    expected = "not_sent"
    if issubclass(kind, (APIError, pinstripe.ResponseError, pinstripe.TransportError)):
        expected = "unknown"
    if issubclass(kind, pinstripe.WaitError):
        expected = "unknown"
    if issubclass(kind, (pinstripe.ConnectError, pinstripe.BudgetUnavailable)):
        expected = "not_sent"
    assert make(kind).outcome == expected


def test_python_errors_can_be_caught_by_their_own_names() -> None:
    with pytest.raises(ValueError, match="options"):
        raise make(pinstripe.ConfigurationError)
    with pytest.raises(TimeoutError):
        raise make(pinstripe.DeadlineExceeded)
    assert pinstripe.ConfigurationError("a[b]", "x").argument == "a[b]"
    assert pinstripe.SignatureError("no_match", "x").reason == "no_match"


def test_notes_of_the_caller_survive() -> None:
    error = error_for(404, {}, b"")
    error.__notes__ = ["while reading row 7"]
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["while reading row 7"]

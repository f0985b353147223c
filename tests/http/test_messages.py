"""Requests and answers as values: what an answer gives as plain data."""

from __future__ import annotations

import pytest

from pinstripe import DecodeError, Response

SECRET = "SECRET-birth-date"


def answer(body: bytes) -> Response:
    return Response(status=200, headers={"Request-Id": "req_1"}, body=body, attempts=2)


def test_the_body_of_an_answer_as_plain_data() -> None:
    body = '{"newer": ["é", 1.5, null], "big": 123456789012345678901234567890}'
    expected = {"newer": ["é", 1.5, None], "big": 123456789012345678901234567890}
    assert answer(body.encode()).json() == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>" + SECRET.encode(),
        b'{"a": "' + SECRET.encode() + b'\xff"}',
        b'{"a": NaN}',
        b"[" * 100_000,
        '{"a": 1}'.encode("utf-16"),
    ],
)
def test_a_body_that_is_no_json_is_an_error_that_keeps_it(body) -> None:
    with pytest.raises(DecodeError) as caught:
        answer(body).json()
    error = caught.value
    assert (error.status, error.request_id, error.attempts) == (200, "req_1", 2)
    assert error.body == body
    assert error.__context__ is None
    assert SECRET not in str(error)

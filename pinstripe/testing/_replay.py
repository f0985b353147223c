"""Which recorded answer a request gets in a replay.

Each recorded answer is given once, in the order of the file. A request that repeats an idempotency
key gets what was recorded for that key, and after that the last answer again, as the API does it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, cast

import msgspec
from multidict import CIMultiDict

from pinstripe._core.errors import ResponseError, TransportError
from pinstripe._http.messages import Response
from pinstripe._http.retry import wants_retry
from pinstripe.testing._asked import Asked
from pinstripe.testing._placeholders import Values, placeholder_in, replace_placeholders
from pinstripe.testing._tape import Exchange, RecordedAnswer, error_of

_SHOWN: Final = 5
"""Differences that an error names."""


class Player:
    """Answers requests from a cassette; it is used by one thread at a time.

    Args:
        path: The file, for errors.
        exchanges: What it holds.
    """

    def __init__(self, path: Path, exchanges: list[Exchange]) -> None:
        self._path = path
        self._left = exchanges
        self._used: list[Exchange] = []
        self._values = Values()

    def answer(self, asked: Asked) -> Response | TransportError | ResponseError:
        """Return the answer to a request.

        Args:
            asked: The request.

        Raises:
            AssertionError: None was recorded, or each was given.
        """
        for exchange in self._left:
            if self._takes(asked, exchange):
                self._left.remove(exchange)
                self._used.append(exchange)
                return self._played(exchange.answer)
        again = self._answer_again(asked)
        if again is None:
            raise AssertionError(self._unmatched(asked))
        return again

    def _takes(self, asked: Asked, exchange: Exchange) -> bool:
        """Return whether a request is the recorded one; then what it sent is kept."""
        if asked.request.call != exchange.request.call:
            return False
        values = self._values.copy()
        if asked.differences(exchange.request, values):
            return False
        self._values = values
        return True

    def _answer_again(self, asked: Asked) -> Response | None:
        """Return the answer that an idempotency key got before; None if there is none."""
        for exchange in reversed(self._used if asked.key else ()):
            if self._takes(asked, exchange):
                answer = self._played(exchange.answer)
                if not isinstance(answer, Response) or wants_retry(answer):
                    return None
                headers = CIMultiDict(answer.headers)
                headers["Idempotent-Replayed"] = "true"
                return Response(status=answer.status, headers=headers, body=answer.body)
        return None

    def _unmatched(self, asked: Asked) -> str:
        request = asked.request
        counts = [
            (len(asked.differences(each.request, self._values.copy())), each)
            for each in (*self._left, *self._used)
            if each.request.call == request.call
        ]
        if not counts:
            calls = sorted({each.request.call for each in (*self._left, *self._used)})
            known = ", ".join(calls) or "nothing"
            return f"{request.call} is not in {self._path}, which has {known}"
        count, nearest = min(counts, key=lambda each: each[0])
        if not count:
            times = sum(not each for each, _ in counts)
            return (
                f"{request.call} is in {self._path} {times} times, and each answer was given; "
                "the test sends it once more than it did when it was recorded"
            )
        differences = asked.differences(nearest.request, self._values.copy())
        more = f", and {count - _SHOWN} more" if count > _SHOWN else ""
        said = "; ".join(differences[:_SHOWN])
        return f"{request.call} is not in {self._path}; in the nearest one, {said}{more}"

    def _played(self, answer: RecordedAnswer) -> Response | TransportError | ResponseError:
        """Return an answer with values in place of placeholders."""
        if answer.status is None:
            return error_of(answer)
        headers = {name: self._text(value) for name, value in answer.headers.items()}
        return Response(status=answer.status, headers=CIMultiDict(headers), body=self._body(answer))

    def _body(self, answer: RecordedAnswer) -> bytes:
        if answer.json is not msgspec.UNSET:
            return msgspec.json.encode(self._filled(answer.json))
        if answer.content is None:
            return b""
        content = self._filled(answer.content)
        return content if isinstance(content, bytes) else str(content).encode()

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            inside = cast("dict[str, Any]", value)
            return {self._text(name): self._filled(item) for name, item in inside.items()}
        if isinstance(value, list):
            return [self._filled(item) for item in cast("list[Any]", value)]
        placeholder = placeholder_in(value)
        if placeholder is not None:
            return self._values.value_of(placeholder)
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        """Return prose with the values that were sent; what was not sent stays a placeholder."""
        return replace_placeholders(text, lambda each: str(self._values.sent_for(each) or each))

"""What an error may show: nothing of aiohttp, of the key, or of the caller's data."""

from __future__ import annotations

import pickle
import traceback

from pinstripe import PinstripeError

CANARY = "CANARY4eC39HqLyjWDarjtT1zdp7dc"
KEY = f"sk_test_{CANARY}"
PRIVATE = "PRIVATE-reference-7720"


def chain(error: BaseException) -> list[BaseException]:
    """Every exception that can be reached from one."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in found:
            found.append(one)
            waiting += [one.__cause__, one.__context__]
    return found


def check_clean(error: PinstripeError) -> None:
    """Assert that an error of a call shows nothing that it must not, and pickles."""
    for one in chain(error):
        assert type(one).__module__.startswith("pinstripe.")
    shown = [
        "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()),
        "".join(traceback.format_exception(error)),
        *(repr(value) for value in (error, error.args, vars(error))),
        str(error),
        pickle.dumps(error).decode("latin-1"),
    ]
    for text in shown:
        assert CANARY not in text
    assert PRIVATE not in str(error)
    twin = pickle.loads(pickle.dumps(error))
    for name in ("args", "outcome", "attempts", "idempotency_key", "request_id"):
        assert getattr(twin, name) == getattr(error, name)
    assert type(twin) is type(error)

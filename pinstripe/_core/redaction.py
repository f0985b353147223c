"""What others said, made fit to be shown: no secret, and nothing of what was sent to them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote_plus

_MESSAGE_LIMIT = 1024
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,64}")
_API_NAME = re.compile(r"[a-z][a-z0-9_]*(?:\[[a-z0-9_]*\])*")
# No word boundary in front: a key can follow a letter, as in "Bearer%20sk_test_...".
_SECRET = re.compile(r"(?:[a-z]{2,4}_(?:test|live|org)_|whsec_)\w+|\b\w+_secret_\w+")


def clean_text(text: str) -> str:
    """Return `text` fit for one line of a log: no secret, only printable characters, 1 KiB at most.

    Args:
        text: Anything a server, or another library, said.
    """
    start = text[: 4 * _MESSAGE_LIMIT]
    line = "".join(character if character.isprintable() else " " for character in start)
    cut = _SECRET.sub("[secret]", line).encode()[:_MESSAGE_LIMIT]
    return cut.decode(errors="ignore")


def redact(text: str, sent: Mapping[str, str]) -> str:
    """Return what a server said with the names of parameters in place of what was sent for them.

    An API likes to quote what it refuses: an email address, a name, a wallet.

    Args:
        text: What it said.
        sent: The values by the names of their parameters.
    """
    names: dict[str, str] = {}
    for name, value in sent.items():
        if len(value) > 1:  # one letter stands in too many words, and tells too little
            names |= dict.fromkeys((value, quote_plus(value)), name)
    if not names:
        return text
    longest_first = sorted(names, key=len, reverse=True)
    quoted = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")
    return quoted.sub(lambda found: f"[{names[found[0]]}]", text)


def clean_request_id(value: str | None) -> str | None:
    """Return a request id that is safe to print, or None where `value` is not one.

    Args:
        value: The `Request-Id` header, as it came.
    """
    return value if value is not None and _REQUEST_ID.fullmatch(value) else None


def redact_fact(name: str, text: str, sent: Mapping[str, str]) -> str:
    """Return a fact of an error without what was sent, unless it is a name of the API.

    To a program such a name means the same whatever was sent, be it a file called "file".

    Args:
        name: Which fact it is, such as `code`.
        text: The fact.
        sent: As for `conceal`.
    """
    is_name = name in ("type", "code", "param") and _API_NAME.fullmatch(text)
    return text if is_name else redact(text, sent)

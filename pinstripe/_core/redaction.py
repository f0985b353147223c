"""Clean the text of others before it is shown: without secrets and without private data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote_plus

# Bytes of a text that a log line shows.
_MESSAGE_LIMIT = 1024
# Visible ASCII; a Request-Id of Stripe (`req_...`) has fewer than 64 characters.
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,64}")
# What the API calls its types, codes and parameters, such as `options[document]`.
_API_NAME = re.compile(r"[a-z][a-z0-9_]*(?:\[[a-z0-9_]*\])*")
# API keys, webhook secrets and client secrets: https://docs.stripe.com/keys
# No word boundary in front: a key can follow a letter, as in "Bearer%20sk_test_...".
_SECRET = re.compile(r"(?:[a-z]{2,4}_(?:test|live|org)_|whsec_)\w+|\b\w+_secret_\w+")


def clean_text(text: str) -> str:
    """Return `text` as one line for a log: no secret, only printable characters, 1 KiB at most.

    Args:
        text: Anything that a server, or another library, said.
    """
    # The start is longer than the result, so that a secret is replaced as a whole before the cut.
    start = text[: 4 * _MESSAGE_LIMIT]
    line = "".join(character if character.isprintable() else " " for character in start)
    cut = _SECRET.sub("[secret]", line).encode()[:_MESSAGE_LIMIT]
    # A character that the cut went through is dropped.
    return cut.decode(errors="ignore")


def redact(text: str, sent: Mapping[str, str]) -> str:
    """Return what a server said, with each value that was sent replaced by its parameter's name.

    An API often quotes the value that it refuses: an email address, a name, a wallet.

    Args:
        text: What the server said.
        sent: The values that were sent, by the names of their parameters.
    """
    names: dict[str, str] = {}
    for name, value in sent.items():
        # One letter is part of too many texts, and says too little about anybody.
        if len(value) > 1:
            names |= dict.fromkeys((value, quote_plus(value)), name)
    if not names:
        return text
    # A value can be part of another one: the longest is tried first.
    longest_first = sorted(names, key=len, reverse=True)
    quoted = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")
    return quoted.sub(lambda found: f"[{names[found[0]]}]", text)


def clean_request_id(value: str | None) -> str | None:
    """Return a request id that is safe to print, or None if `value` is not one.

    Args:
        value: The `Request-Id` header, as it came.
    """
    return value if value is not None and _REQUEST_ID.fullmatch(value) else None


def redact_fact(name: str, text: str, sent: Mapping[str, str]) -> str:
    """Return a fact of an error without the values that were sent, unless it is a name of the API.

    A program acts on such a name, so it must not depend on what was sent: the parameter `file`
    stays `file` even if a file called "file" was sent.

    Args:
        name: The name of the fact, such as `code`.
        text: The fact.
        sent: The values that were sent, by the names of their parameters.
    """
    is_name = name in ("type", "code", "param") and _API_NAME.fullmatch(text)
    return text if is_name else redact(text, sent)

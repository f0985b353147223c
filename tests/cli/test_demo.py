from __future__ import annotations

import re

from tests.support.cli_process import run

# Line by line, so that nothing personal has a place in it.
VERIFICATION = re.compile(
    r"""
One verification, from creation to redaction
created    (vs_\w+) is requires_input
retrieved  \1 is verified
           its report: (passport|id_card|driving_license) verified
redacted   \1 is redacted
           its first name: \[redacted\]

250 sessions, page by page
"""
)


def test_the_demo_shows_everything_without_a_key_and_without_a_terminal() -> None:
    done = run("demo")
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert "2000/2000" in text
    for currency in ("avax", "btc", "eth", "matic", "sol", "usdc", "xlm"):
        assert re.search(rf"│ {currency} +│ [a-z]+ +│ +[0-9,.]+ │", text)
    assert VERIFICATION.search(text)
    assert "a page of 50, 250 sessions so far" in text
    assert "\x1b" not in text
    for kind, status in (("created", "confirmed"), ("delivered", "delivered")):
        assert f"received and verified climate.order.{kind}: {status}\n" in text
    assert "the destination got a number of 16 digits\n" in text
    assert "the API keeps, and we see, 424242******4242\n" in text
    assert re.search(r"Total +[0-9.]+ s", text)

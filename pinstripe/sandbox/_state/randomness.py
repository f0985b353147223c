"""Everything random of a sandbox, by its seed: the same seed gives the same texts in each run."""

from __future__ import annotations

import random
import string
from typing import Final

_ALPHABET: Final = string.ascii_letters + string.digits


class Randomness:
    """Random sources that depend on a seed, and of which no two are the same.

    Args:
        seed: The seed.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._run = ""
        self._resets = 0

    def source(self, name: str) -> random.Random:
        """Return the source for a part of the sandbox."""
        reset = f":reset {self._resets}" if self._resets else ""
        return random.Random(f"{self._seed}:{name}{self._run}{reset}")  # noqa: S311 -- repeatable

    def begin_run(self, number: int) -> None:
        """Give sources from now on that no earlier run has used.

        Args:
            number: How many runs there were before.
        """
        self._run = f":{number}" if number else ""

    def begin_reset(self) -> None:
        """Give sources from now on that were not used before the reset."""
        self._resets += 1


def random_text(source: random.Random, length: int) -> str:
    """Return random letters and digits."""
    return "".join(source.choices(_ALPHABET, k=length))

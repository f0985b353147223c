"""The entry point: checks that the libraries of the command line are installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command `pinstripe`, and end the process with its exit status."""
    missing = [name for name in ("click", "rich") if find_spec(name) is None]
    if missing:
        needs = " and ".join(missing)
        sys.stderr.write(f'pinstripe: the command needs {needs}: pip install "pinstripe[cli]"\n')
        sys.exit(2)
    from pinstripe.cli._main import run  # noqa: PLC0415 -- needs what was looked for above

    sys.exit(run())

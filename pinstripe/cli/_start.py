"""The entry point: checks that the libraries of the command line are installed."""

from __future__ import annotations

import sys
from importlib import import_module


def main() -> None:
    """Run the command `pinstripe`, and end the process with its exit status."""
    missing = [name for name in ("click", "rich") if not _is_there(name)]
    if missing:
        needs = " and ".join(missing)
        sys.stderr.write(f'pinstripe: the command needs {needs}: pip install "pinstripe[cli]"\n')
        sys.exit(2)
    from pinstripe.cli._main import run  # noqa: PLC0415 -- needs what was looked for above

    sys.exit(run())


def _is_there(name: str) -> bool:
    # To import them costs no more than to look for them: click is needed at once, and rich imports
    # its parts only when they are used.
    try:
        import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return False
    return True

"""Names of the command line: `pinstripe quotes`, `demo`, `sandbox`, `listen` and `trigger`."""

from pinstripe.cli._start import main

__all__ = ["main"]

"""Names of the command line: `pinstripe quotes`, `pinstripe demo`, `pinstripe sandbox`."""

from pinstripe.cli._start import main

__all__ = ["main"]

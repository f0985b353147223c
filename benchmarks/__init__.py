"""Measurements against the peers; `python -m benchmarks` prints all of them."""

import sys
from pathlib import Path

# The servers that misbehave are the tests' own.
sys.path.append(str(Path(__file__).parents[1] / "tests"))

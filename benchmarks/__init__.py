"""Measurements against the peers; `python -m benchmarks` prints all of them."""

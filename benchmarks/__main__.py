"""`python -m benchmarks`: print every table."""

from __future__ import annotations

import platform

from benchmarks import decode, throughput


def main() -> None:
    print(f"Python {platform.python_version()}, {platform.machine()}")
    print(decode.report())
    print(throughput.report())


if __name__ == "__main__":
    main()

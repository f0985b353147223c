"""Measuring: rounds that take turns, so that a drifting machine drifts for all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable, Mapping

from attrs import frozen

KEY = "sk_test_benchmark"
ROUNDS = 5


@frozen
class Cost:
    """The median cost of one call, in microseconds."""

    wall: float
    cpu: float


def table(title: str, base: str, costs: Mapping[str, Cost]) -> str:
    """Return costs as a table, with each contender's ratio to `base`."""
    lines = [
        f"\n{title}",
        f"{'':44}{'wall µs':>10}{'CPU µs':>10}{'wall ratio':>12}{'CPU ratio':>11}",
    ]
    for name, cost in costs.items():
        wall, cpu = cost.wall / costs[base].wall, cost.cpu / costs[base].cpu
        lines.append(f"{name:44}{cost.wall:10.1f}{cost.cpu:10.1f}{wall:12.2f}{cpu:11.2f}")
    return "\n".join(lines)


def compare(contenders: Mapping[str, Callable[[], object]], repeat: int) -> dict[str, Cost]:
    """Time functions in turns, each called `repeat` times a round."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, function in contenders.items():
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(repeat):
                function()
            spent = time.perf_counter() - wall, time.process_time() - cpu
            times[name].append(spent)
    return {name: median(rounds, repeat) for name, rounds in times.items()}


async def compare_async(
    contenders: Mapping[str, Callable[[int], Awaitable[object]]], calls: int
) -> dict[str, Cost]:
    """Time coroutine functions in turns, each of which makes as many calls as it is told."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for number in range(ROUNDS + 1):
        for name, function in contenders.items():
            wall, cpu = time.perf_counter(), time.process_time()
            await function(calls)
            spent = time.perf_counter() - wall, time.process_time() - cpu
            if number:
                times[name].append(spent)
    return {name: median(rounds, calls) for name, rounds in times.items()}


def median(rounds: list[tuple[float, float]], calls: int) -> Cost:
    """Return the cost of a call from the seconds of wall and CPU time of some rounds of them."""
    wall, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
    return Cost(wall * 1e6 / calls, cpu * 1e6 / calls)

"""The tables of statuses beside the facts of the API, and beside the types of the arguments."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import Any, get_args

import pytest

from pinstripe._resources.waiting import ONRAMP_SESSION, ORDER, REDACTION, SESSION, Lifecycle
from pinstripe.climate import OrderGoal
from pinstripe.crypto import OnrampSessionGoal
from pinstripe.identity import RedactionGoal, SessionGoal

yaml = pytest.importorskip("yaml")

FACTS = Path(os.environ.get("PINSTRIPE_FACTS") or Path(__file__).parents[3] / "shared" / "api")


@pytest.mark.parametrize(
    ("lifecycle", "goal"),
    [
        (SESSION, SessionGoal),
        (REDACTION, RedactionGoal),
        (ONRAMP_SESSION, OnrampSessionGoal),
        (ORDER, OrderGoal),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_the_type_of_the_argument_has_every_goal(lifecycle: Lifecycle, goal: Any) -> None:
    assert lifecycle.goals == get_args(goal)


def moves_of(machine: dict[str, Any]) -> dict[str | None, set[str]]:
    """The statuses that can follow each one, by the transitions of the facts."""
    states, names = machine["states"], {"null": None, "none": "none"}
    moves: defaultdict[str | None, set[str]] = defaultdict(set)
    for state, said in states.items():
        # Of a state without a known meaning, nothing says what comes after it.
        is_vague = said.get("meaning") == "unknown"
        moves[state] = {*states} - {state} if is_vague else set()
    for row in machine["transitions"]:
        targets = row["to"].split(" or ")
        for source in row["from"].split(" or "):
            open_states = [name for name, said in states.items() if not said.get("final")]
            sources = [None, *open_states] if source == "unknown" else [names.get(source, source)]
            for each in sources:
                if each != "none":
                    moves[each] |= {*targets} - {each}
    return dict(moves)


@pytest.mark.skipif(not (FACTS / "lifecycle.yaml").is_file(), reason=f"no facts in {FACTS}")
@pytest.mark.parametrize(
    ("lifecycle", "keys"),
    [
        (SESSION, ["verification_session"]),
        (REDACTION, ["verification_session", "redaction"]),
        (ONRAMP_SESSION, ["onramp_session"]),
        (ORDER, ["climate_order"]),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_a_table_has_the_transitions_of_the_facts(lifecycle: Lifecycle, keys: list[str]) -> None:
    machine = yaml.safe_load((FACTS / "lifecycle.yaml").read_text(encoding="utf-8"))
    for key in keys:
        machine = machine[key]
    ours = {status: set(following) for status, following in lifecycle.moves.items()}
    assert ours == moves_of(machine)

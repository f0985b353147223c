"""The fuzzer's table: every target is there, and takes any bytes."""

from __future__ import annotations

import random

import pytest

from tests import fuzz


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_a_target_is_a_property_test_that_takes_bytes(target) -> None:
    run, chance = fuzz.one_input(target), random.Random(0)
    ran = [run(chance.randbytes(size)) for size in (0, 10, 100, 300, 1000, 3000)]
    assert fuzz.TARGETS[target][2] is not fuzz.by_hypothesis or any(ran)


def test_what_is_no_target_is_told(capsys) -> None:
    assert fuzz.main() == fuzz.main("nothing") == 2
    assert "signature\n" in capsys.readouterr().out

"""Values: compared, hashed and shown by what all of them share."""

from __future__ import annotations

import pickle

import pytest
from attrs import asdict, evolve, field, frozen
from attrs.exceptions import FrozenInstanceError

from pinstripe import Limits, RetryPolicy, Timeout
from pinstripe._core.values import Value


@frozen(eq=False, repr=False)
class Place(Value):
    street: str
    key: str = field(default="", repr=False)


@frozen(eq=False, repr=False)
class Other(Value):
    street: str
    key: str = field(default="", repr=False)


def test_values_of_one_class_are_compared_by_their_fields() -> None:
    assert Place("a", "b") == Place("a", "b") != Place("a", "c")
    assert Place("a") != Other("a")
    assert Place("a") != "a"
    assert len({Place("a"), Place("a"), Place("b"), Other("a")}) == 3


def test_what_is_hidden_does_not_show() -> None:
    assert repr(Place("a", "secret")) == "Place(street='a')"


@pytest.mark.parametrize("value", [Timeout(5), RetryPolicy(base=1), Limits(keepalive=3)])
def test_settings_are_attrs_values(value) -> None:
    assert evolve(value) == value
    assert type(value)(**asdict(value)) == value
    assert pickle.loads(pickle.dumps(value)) == value
    with pytest.raises(FrozenInstanceError):
        value.connect = 1
    assert repr(Timeout(5)) == "Timeout(total=5, connect=10.0)"

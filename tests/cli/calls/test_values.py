"""Parameters at any depth: what `--set` and `--body` say is what is sent."""

from __future__ import annotations

from typing import Any

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinstripe._http.encoding import form_pairs
from pinstripe.cli._calls.values import merge, set_values

KEYS = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)
TREES: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    KEYS,
    st.recursive(
        st.text(max_size=8),
        lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)


@settings(settings.get_profile("quick"))
@given(TREES)
def test_what_is_set_text_by_text_is_the_same_tree(tree: dict[str, Any]) -> None:
    params: dict[str, Any] = {}
    set_values(params, [f"{name}={value}" for name, value in form_pairs(tree)])
    assert params == tree


@settings(settings.get_profile("quick"))
@given(TREES, TREES)
def test_the_later_of_two_wins_key_by_key(first: dict[str, Any], second: dict[str, Any]) -> None:
    merged: dict[str, Any] = {}
    merge(merged, first)
    merge(merged, second)
    pairs = dict(form_pairs(merged))
    for name, value in form_pairs(second):
        assert pairs[name] == value
    for name, value in form_pairs(first):
        hidden = any(name.startswith((f"{other}[", other)) for other, _ in form_pairs(second))
        assert hidden or pairs.get(name) == value or name not in pairs


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    params: dict[str, Any] = {}
    try:
        set_values(params, [text])
    except click.UsageError:
        assert params in ({}, {text.partition("[")[0]: {}}, {text.partition("[")[0]: []})
    else:
        assert params


def test_empty_brackets_add_to_a_list() -> None:
    params: dict[str, Any] = {}
    set_values(params, ["a[]=1", "a[]=2", "b[c][]=3", "d[][e]=4", "d[][e]=5"])
    assert params == {"a": ["1", "2"], "b": {"c": ["3"]}, "d": [{"e": "4"}, {"e": "5"}]}


@pytest.mark.parametrize("texts", [["a=1", "a[b]=2"], ["a[]=1", "a[b]=2"], ["a[b]=1", "a[]=2"]])
def test_a_value_has_either_parts_or_none(texts: list[str]) -> None:
    with pytest.raises(click.UsageError, match="without parts"):
        set_values({}, texts)

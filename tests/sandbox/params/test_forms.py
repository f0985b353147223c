"""The form decoder: against two encoders, its own and the official one, and on bad input."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.sandbox._params.errors import Refusal
from pinstripe.sandbox._params.forms import (
    MAX_PAIRS,
    Tree,
    as_array,
    decode,
    from_json,
    split_name,
)
from tests.support.sandbox_api import refusal_of
from tests.support.steps import steps_of

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0[]"), min_size=1, max_size=8
)
values = st.recursive(
    texts,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4),
        st.dictionaries(names, inner, min_size=1, max_size=4),
    ),
    max_leaves=12,
)

forms = st.dictionaries(names, values, max_size=5)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()))
    return 1 + max(map(depth, value)) if isinstance(value, list) else 0


shallow_forms = forms.filter(lambda form: all(depth(value) <= 6 for value in form.values()))


def encoded(form: dict[str, Any], empty_brackets: bool, raw_brackets: bool) -> str:
    """Encode a form independently of the decoder."""
    pairs: list[tuple[str, str]] = []

    def walk(name: str, value: Any) -> None:
        if isinstance(value, str):
            pairs.append((name, value))
        elif isinstance(value, dict):
            for key, item in value.items():
                walk(f"{name}[{key}]", item)
        else:
            flat = empty_brackets and all(isinstance(item, str) for item in value)
            for index, item in enumerate(value):
                walk(f"{name}[]" if flat else f"{name}[{index}]", item)

    for name, value in form.items():
        walk(name, value)
    safe = "[]" if raw_brackets else ""
    return "&".join(f"{quote_plus(name, safe)}={quote_plus(value)}" for name, value in pairs)


def same(tree: Tree, value: Any) -> bool:
    """Whether a decoded tree is what was encoded; a dict of indexes may be either."""
    if isinstance(value, list):
        items = as_array(tree)
        return items is not None and len(items) == len(value) and all(map(same, items, value))
    if isinstance(value, dict):
        return (
            isinstance(tree, dict)
            and tree.keys() == value.keys()
            and all(same(tree[key], value[key]) for key in value)
        )
    return tree == value


@given(shallow_forms, st.booleans(), st.booleans())
def test_decodes_what_an_independent_encoder_writes(
    form: dict[str, Any], empty_brackets: bool, raw_brackets: bool
) -> None:
    assert same(decode(encoded(form, empty_brackets, raw_brackets)), form)


@given(shallow_forms)
def test_decodes_what_the_official_sdk_writes(form: dict[str, Any]) -> None:
    official = pytest.importorskip("stripe._encode")
    assert same(decode(urlencode(list(official._api_encode(form)))), form)


@given(shallow_forms)
def test_json_and_form_give_the_same_tree(form: dict[str, Any]) -> None:
    assert same(from_json(form), form)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", {}),
        ("&&", {}),
        ("limit=5", {"limit": "5"}),
        ("description=", {"description": ""}),
        ("description", {"description": ""}),
        ("a=1=2", {"a": "1=2"}),
        ("a+b=c+d%2B", {"a b": "c d+"}),
        ("metadata[a]=1&metadata[b]=", {"metadata": {"a": "1", "b": ""}}),
        ("metadata%5Ba%5D=%C3%A9", {"metadata": {"a": "é"}}),
        ("metadata[a]=é", {"metadata": {"a": "é"}}),
        ("a[]=x&a[]=y", {"a": ["x", "y"]}),
        ("a[0]=x&a[1]=y", {"a": {"0": "x", "1": "y"}}),
        ("a[b][]=x", {"a": {"b": ["x"]}}),
        ("h[0][name]=A&h[0][value]=1", {"h": {"0": {"name": "A", "value": "1"}}}),
        ("a=1&a=2", {"a": "2"}),
        ("a[0][0]=x", {"a": {"0": {"0": "x"}}}),
    ],
)
def test_reads(text: str, tree: Tree) -> None:
    assert decode(text) == tree


@pytest.mark.parametrize(
    "text",
    [
        "a=%",
        "a=%2",
        "a=%zz",
        "%zz=a",
        "a=%ff",
        "a=%C3",
        "a=%00",
        "a=\udcff",
        "=a",
        "[a]=b",
        "a]=b",
        "a[=b",
        "a[b=c",
        "a[b]c=d",
        "a[b[c]]=d",
        "a[][b]=c",
        "a[][]=c",
        "a=1&a[b]=2",
        "a[b]=1&a=2",
        "a[]=1&a[0]=2",
        "a[b]=1&a[]=2",
        "a=1&a[]=2",
        "a[]=1&a[b][c]=2",
        "a" + "[b]" * 9 + "=c",
        "a" * 1001 + "=b",
        "&" * MAX_PAIRS,
    ],
)
def test_refuses(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        decode(text)
    assert caught.value.status == 400
    assert len(caught.value.message) < 200


@given(st.text(st.sampled_from("ab[]0=&%2+\udc80é"), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    refusal = refusal_of(lambda: decode(text))
    assert refusal is None or refusal.status == 400


@pytest.mark.parametrize(
    "form",
    [
        lambda size: "a[" * size,
        lambda size: "&".join(f"a{index}=b" for index in range(size)),
        lambda size: "&".join(f"a[{index}]=b" for index in range(size)),
        lambda size: "a=" + "%41" * size,
        lambda size: "a=" + "+" * size,
        lambda size: "&" * size,
    ],
)
def test_the_cost_is_linear_in_the_input(form) -> None:
    size = MAX_PAIRS // 8
    few, many = (steps_of(partial(decode, form(count))) for count in (size, 8 * size))
    assert many <= 8 * few + 100


@pytest.mark.parametrize(
    ("tree", "items"),
    [
        (["x", "y"], ["x", "y"]),
        ({"1": "b", "0": "a", "10": "c"}, ["a", "b", "c"]),
        ({}, []),
        ({"a": "b"}, None),
        ({"-1": "b"}, None),
        ({"²": "b"}, None),
        ({"12345": "b"}, None),
        ("x", None),
    ],
)
def test_reads_arrays(tree: Tree, items: list[Tree] | None) -> None:
    assert as_array(tree) == items


def test_json_leaves_become_the_text_of_a_form() -> None:
    tree = from_json({"a": True, "b": False, "c": None, "d": 3, "e": 1.5, "f": [1, {"g": "h"}]})
    assert tree == {
        "a": "true",
        "b": "false",
        "c": "",
        "d": "3",
        "e": "1.5",
        "f": {"0": "1", "1": {"g": "h"}},
    }


def test_json_has_the_bounds_of_a_form() -> None:
    deep: Any = "x"
    for _ in range(20):
        deep = {"a": deep}
    for value in (deep, [], "text", None):
        with pytest.raises(Refusal):
            from_json(value)


@given(st.lists(names, min_size=1, max_size=5))
def test_paths_are_split_and_joined(path: list[str]) -> None:
    root, *inner = path
    assert split_name(root + "".join(f"[{part}]" for part in inner)) == path

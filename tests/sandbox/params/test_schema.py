"""The parameter specs: what each accepts, and which parameter its error names."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.sandbox._params.errors import Refusal
from pinstripe.sandbox._params.forms import Tree, decode
from pinstripe.sandbox._params.schema import (
    BOOLEAN,
    CREATED,
    METADATA,
    STRING,
    STRINGS,
    Array,
    Integer,
    Nullable,
    Object,
    PositiveDecimal,
    Spec,
    String,
    TimeRange,
    Word,
)
from tests.support.sandbox_api import refusal_of

SPEC = Object(
    {
        "name": STRING,
        "count": Integer(1, 100),
        "flag": BOOLEAN,
        "kind": Word(("a", "b")),
        "open": Word(("a", "b"), open=True),
        "amount": PositiveDecimal("bad_amount"),
        "created": CREATED,
        "metadata": METADATA,
        "list": Array(Word(("x", "y")), max_items=3),
        "deep": Object({"in": Object({"n": Integer(0, 9)})}, clearable=True),
        "host": String(check=lambda text: None if "." in text else "no dot", code="host_invalid"),
        "note": String(clearable=True),
        "maybe": Nullable(Integer(0, 1)),
        "pair": Object({"left": STRING, "right": STRING}, required=("left", "right")),
    }
)


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("", {}),
        (
            "name=x&count=100&flag=true&kind=b",
            {"name": "x", "count": 100, "flag": True, "kind": "b"},
        ),
        ("flag=false&open=zzz", {"flag": False, "open": "zzz"}),
        ("amount=0.10", {"amount": Decimal("0.10")}),
        ("list[]=x&list[]=y", {"list": ["x", "y"]}),
        ("list[0]=x&list[7]=y", {"list": ["x", "y"]}),
        ("deep[in][n]=4", {"deep": {"in": {"n": 4}}}),
        ("deep=", {"deep": None}),
        ("note=", {"note": ""}),
        ("maybe=", {"maybe": None}),
        ("maybe=1", {"maybe": 1}),
        ("host=a.b", {"host": "a.b"}),
        ("metadata[0]=x&metadata[k]=", {"metadata": {"0": "x", "k": ""}}),
        ("metadata=", {"metadata": None}),
        ("pair[left]=1&pair[right]=2", {"pair": {"left": "1", "right": "2"}}),
        ("created=5", {"created": TimeRange(5, 6)}),
        ("created[gt]=5&created[lt]=9", {"created": TimeRange(6, 9)}),
        ("created[gte]=5&created[lte]=9", {"created": TimeRange(5, 10)}),
        ("created[gte]=5&created[gt]=7", {"created": TimeRange(8, TimeRange().end)}),
    ],
)
def test_accepts(text: str, params: dict[str, Any]) -> None:
    assert SPEC.read_form(decode(text)) == params


@pytest.mark.parametrize(
    ("text", "param", "code"),
    [
        ("nope=1", "nope", "parameter_unknown"),
        ("deep[nope]=1", "deep[nope]", "parameter_unknown"),
        ("created[eq]=1", "created[eq]", "parameter_unknown"),
        ("name=", "name", "parameter_invalid_empty"),
        ("name[a]=b", "name", None),
        ("name=" + "x" * 5001, "name", None),
        ("count=", "count", "parameter_invalid_integer"),
        ("count=1.0", "count", "parameter_invalid_integer"),
        ("count=%EF%BC%91", "count", "parameter_invalid_integer"),
        ("count=0", "count", "parameter_invalid_integer"),
        ("count=101", "count", "parameter_invalid_integer"),
        ("count=" + "9" * 5000, "count", "parameter_invalid_integer"),
        ("flag=True", "flag", None),
        ("flag=", "flag", None),
        ("kind=c", "kind", None),
        ("open=", "open", "parameter_invalid_empty"),
        ("amount=0", "amount", "bad_amount"),
        ("amount=-1", "amount", "bad_amount"),
        ("amount=1e3", "amount", "bad_amount"),
        ("amount=NaN", "amount", "bad_amount"),
        ("amount=1234567890123456", "amount", "bad_amount"),
        ("list=x", "list", None),
        ("list=", "list", "parameter_invalid_empty"),
        ("list[a]=x", "list", None),
        ("list[]=z", "list[0]", None),
        ("list[]=x&list[]=x&list[]=x&list[]=x", "list", None),
        ("deep=x", "deep", None),
        ("pair=", "pair", "parameter_invalid_empty"),
        ("pair[left]=1", "pair[right]", "parameter_missing"),
        ("deep[in][n]=x", "deep[in][n]", "parameter_invalid_integer"),
        ("host=a", "host", "host_invalid"),
        ("metadata=x", "metadata", None),
        ("metadata[a][b]=x", "metadata[a]", None),
        ("metadata[" + "k" * 41 + "]=x", "metadata[" + "k" * 41 + "]", None),
        ("metadata[k]=" + "v" * 501, "metadata[k]", None),
        ("&".join(f"metadata[{index}]=x" for index in range(51)), "metadata", None),
        ("created=x", "created", "parameter_invalid_integer"),
        ("created[gte]=-1", "created[gte]", "parameter_invalid_integer"),
        ("x" * 900 + "=1", "x" * 255 + "…", "parameter_unknown"),
    ],
)
def test_refuses(text: str, param: str, code: str | None) -> None:
    with pytest.raises(Refusal) as caught:
        SPEC.read_form(decode(text))
    refusal = caught.value
    assert (refusal.status, refusal.param, refusal.code) == (400, param, code)
    assert str(refusal) == refusal.message
    assert len(refusal.message) < 400


keys = st.text("abc", min_size=1, max_size=2)


@given(st.dictionaries(keys, st.text("xy", min_size=1)), st.dictionaries(keys, st.text("xy")))
def test_metadata_merges(old: dict[str, str], patch: dict[str, str]) -> None:
    merged = METADATA.merge(old, patch)
    for key in old.keys() | patch.keys():
        assert merged.get(key, "") == patch.get(key, old.get(key))
    assert METADATA.merge(old, None) == {}


def test_keys_that_are_removed_do_not_count() -> None:
    keys: dict[str, Tree] = {f"a{index}": "x" for index in range(50)}
    assert METADATA.read({**keys, "gone": ""}, "metadata") == {**keys, "gone": ""}
    with pytest.raises(Refusal):
        METADATA.read({**keys, "b": "y"}, "metadata")


def test_metadata_cannot_outgrow_its_bound_by_merging() -> None:
    old = {f"a{index}": "x" for index in range(50)}
    assert METADATA.merge(old, {"a0": "", "b": "y"})["b"] == "y"
    with pytest.raises(Refusal):
        METADATA.merge(old, {"b": "y"})


trees: st.SearchStrategy[Tree] = st.recursive(
    st.text("0a.-", max_size=4),
    lambda inner: st.one_of(
        st.lists(st.text("0a", max_size=3), max_size=3),
        st.dictionaries(st.sampled_from(["gt", "in", "n", "0", "left", ""]), inner, max_size=3),
    ),
    max_leaves=6,
)


@given(st.sampled_from([*SPEC.fields.values(), STRINGS]), trees)
def test_any_tree_is_read_or_refused(spec: Spec, tree: Tree) -> None:
    refusal = refusal_of(lambda: spec.read(tree, "p"))
    if refusal is not None:
        assert refusal.status == 400
        assert str(refusal.param).startswith("p")

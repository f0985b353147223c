"""The pictures of the guide "Growth": what was measured is drawn, and can be read in both modes."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.support.charts import MODES, Chart, Panel, Series, draw

GUIDES = Path(__file__).parent.parent / ".docs" / "guides"
SVG = "{http://www.w3.org/2000/svg}"

VALUES = st.dictionaries(
    st.integers(1, 10**6),
    st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=4),
    min_size=2,
    max_size=6,
)


@example(measured=[{1: [1.0], 2: [1.0]}], logarithmic=True, mode="dark")
@given(
    measured=st.lists(VALUES, min_size=1, max_size=4),
    logarithmic=st.booleans(),
    mode=st.sampled_from(sorted(MODES)),
)
def test_every_value_is_drawn(measured, logarithmic: bool, mode: str) -> None:
    series = [Series(f"series <{number}>", values) for number, values in enumerate(measured)]
    chart = Chart("A & B", "More of A.", "items", [Panel("seconds", series, logarithmic)])
    root = ET.fromstring(draw(chart, MODES[mode]))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    dots = [one for one in root.iter(f"{SVG}circle") if one.attrib["r"] == "2.5"]
    assert len(dots) == sum(len(values) for one in measured for values in one.values())
    for dot in dots:
        assert 0 <= float(dot.attrib["cx"]) <= width
        assert 0 <= float(dot.attrib["cy"]) <= height
    texts = {text.text for text in root.iter(f"{SVG}text")}
    assert {"items", "seconds", *(one.name for one in series)} <= texts
    assert [root[0].text, root[1].text] == ["A & B", "More of A."]


def test_higher_values_are_drawn_higher() -> None:
    series = Series("one", {1: [1.0], 10: [10.0], 100: [100.0]})
    root = ET.fromstring(draw(Chart("", "", "", [Panel("", [series])]), MODES["light"]))
    dots = [one.attrib for one in root.iter(f"{SVG}circle") if one.attrib["r"] == "2.5"]
    across, up = ([float(dot[name]) for dot in dots] for name in ("cx", "cy"))
    # On logarithmic axes, ten times as much is always the same way.
    assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=0.2)
    assert up[0] - up[1] == pytest.approx(up[1] - up[2], abs=0.2)
    assert up[0] > up[1]


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", MODES)
def test_text_and_series_stand_out(mode: str) -> None:
    # https://www.w3.org/TR/WCAG22/#contrast-minimum
    colours = MODES[mode]
    behind = luminance(colours.background)
    for colour in (colours.text, colours.axis, *colours.series):
        low, high = sorted([behind, luminance(colour)])
        assert (high + 0.05) / (low + 0.05) >= 4.5, colour


def test_the_guide_shows_each_picture_in_both_modes() -> None:
    text = (GUIDES / "growth.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[([^\]]+)\]\(growth/([\w-]+)-(light|dark)\.svg#only-(\w+)\)", text)
    assert all(mode == only for _, _, mode, only in shown)
    pictures = {f"{name}-{mode}.svg" for _, name, mode, _ in shown}
    assert pictures == {path.name for path in (GUIDES / "growth").iterdir()}
    assert len(pictures) == 10

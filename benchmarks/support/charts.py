"""Charts as small SVG files, one for light pages and one for dark pages.

A chart has one panel or several, one below the other, over one logarithmic axis. Every measured
value is a dot; a line joins their medians. Series differ in colour, dashes and marks. The text is
large, so that it can be read where the picture is as narrow as a phone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from statistics import median

from attrs import frozen

WIDTH = 400
LEFT, RIGHT = 62, 26
PLOT_HEIGHT = 190
FONT = 14
LINE = 22
"""The height of a line of text."""

_PANEL_HEIGHT = LINE + PLOT_HEIGHT + LINE + 14

STEPS = (1, 2, 5)
MOST_TICKS = 8

DASHES = ("", "9 4", "2 4", "9 4 2 4")


@frozen
class Series:
    """Values of one kind: those that were measured, by the number on the axis below."""

    name: str
    values: Mapping[int, Sequence[float]]

    def medians(self) -> dict[int, float]:
        """Return the median of the values at each number."""
        return {x: median(values) for x, values in self.values.items()}


@frozen
class Panel:
    """Series over one vertical axis, which is logarithmic or begins at zero."""

    label: str
    series: Sequence[Series]
    logarithmic: bool = True


@frozen
class Chart:
    """What a picture shows, with its text alternative."""

    title: str
    description: str
    label: str
    panels: Sequence[Panel]


@frozen
class Colours:
    """The colours of a picture; text and series stand out from the background by 4.5 to 1."""

    background: str
    text: str
    axis: str
    grid: str
    series: tuple[str, ...]


MODES = {
    "light": Colours(
        background="#ffffff",
        text="#1f2328",
        axis="#59636e",
        grid="#d9dee3",
        series=("#0b62c4", "#a84f00", "#1a7f37", "#8250df"),
    ),
    "dark": Colours(
        background="#0b0c0f",
        text="#e6e8ec",
        axis="#a0a6b4",
        grid="#2c3038",
        series=("#6cb6ff", "#ffa657", "#56d364", "#d2a8ff"),
    ),
}


@frozen
class Axis:
    """A range of values, and where each of them is on the picture."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = True

    def place(self, value: float) -> float:
        """Return where a value is."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = log10(low), log10(high), log10(value)
        return self.start + (self.end - self.start) * (value - low) / (high - low)


def draw(chart: Chart, colours: Colours) -> str:
    """Return a chart as the text of an SVG file."""
    names = list(dict.fromkeys(one.name for panel in chart.panels for one in panel.series))
    numbers = sorted({x for panel in chart.panels for one in panel.series for x in one.values})
    across = Axis(numbers[0], numbers[-1], LEFT + 10, WIDTH - RIGHT)
    drawing = _Drawing(across, numbers, names, colours)
    legend = LINE * len(names) + 16
    height = legend + _PANEL_HEIGHT * len(chart.panels) + LINE
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title description"'
        f' font-family="system-ui, sans-serif" font-size="{FONT}">'
    )
    parts = [
        head,
        f'<title id="title">{escape(chart.title)}</title>',
        f'<desc id="description">{escape(chart.description)}</desc>',
        f'<rect width="100%" height="100%" fill="{colours.background}"/>',
        *drawing.legend(),
    ]
    for number, panel in enumerate(chart.panels):
        parts += drawing.panel(panel, legend + number * _PANEL_HEIGHT)
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(_text(middle, height - 8, chart.label, colours.text, "middle"))
    return "\n".join([*parts, "</svg>", ""])


@frozen
class _Drawing:
    """What all panels of a chart share: the axis below them, the series and the colours."""

    across: Axis
    numbers: Sequence[int]
    names: Sequence[str]
    colours: Colours

    def legend(self) -> Iterator[str]:
        """Yield a line for each series."""
        for style, name in enumerate(self.names):
            y = 18 + style * LINE
            yield _line([(12, y), (52, y)], style, self.colours)
            yield _mark(32, y, style, self.colours)
            yield _text(62, y + 5, name, self.colours.text)

    def panel(self, panel: Panel, top: float) -> Iterator[str]:
        """Yield a panel: its axes, and then each of its series."""
        colours = self.colours
        end, start = top + LINE, top + LINE + PLOT_HEIGHT
        up, ticks = _scale(panel, start, end)
        yield _text(8, top + 12, panel.label, colours.text)
        right, base = WIDTH - RIGHT + 6, start + 4
        for tick in ticks:
            y = up.place(tick)
            yield _stroke([(LEFT, y), (right, y)], colours.grid)
            yield _text(LEFT - 8, y + 5, _number(tick), colours.text, "end")
        yield _stroke([(LEFT, end), (LEFT, base), (right, base)], colours.axis)
        for x in self.numbers:
            place = self.across.place(x)
            yield _stroke([(place, base), (place, base + 5)], colours.axis)
            yield _text(place, start + LINE + 2, _short(x), colours.text, "middle")
        for series in panel.series:
            yield from self._series(series, up)

    def _series(self, series: Series, up: Axis) -> Iterator[str]:
        style, place = self.names.index(series.name), self.across.place
        medians = [(place(x), up.place(y)) for x, y in series.medians().items()]
        yield _line(medians, style, self.colours)
        for x, values in series.values.items():
            yield from (_dot(place(x), up.place(y), style, self.colours) for y in values)
        yield from (_mark(x, y, style, self.colours) for x, y in medians)


def _scale(panel: Panel, start: float, end: float) -> tuple[Axis, list[float]]:
    """Return the vertical axis of a panel, and the values that it names."""
    values = [y for series in panel.series for ys in series.values.values() for y in ys]
    if not panel.logarithmic:
        step = _step(max(values) / (MOST_TICKS - 1))
        ticks = [step * number for number in range(ceil(max(values) / step) + 1)]
        return Axis(0, ticks[-1], start, end, logarithmic=False), ticks
    powers = range(floor(log10(min(values))), ceil(log10(max(values))) + 1)
    every = [step * 10.0**power for power in powers for step in STEPS]
    low = max(tick for tick in every if tick <= min(values))
    high = min(tick for tick in every if tick >= max(values) and tick > low)
    ticks = [tick for tick in every if low <= tick <= high]
    if len(ticks) > MOST_TICKS:
        ticks = [tick for tick in ticks if log10(tick).is_integer()]
    return Axis(low, high, start, end), ticks


def _step(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20, ... and their tenths that is not below a value."""
    power = 10.0 ** floor(log10(least))
    return next(step * power for step in (*STEPS, 10) if step * power >= least)


def _short(value: int) -> str:
    return f"{value // 1000}k" if value >= 1000 and value % 1000 == 0 else str(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


# --- shapes -----------------------------------------------------------------------------------


def _text(x: float, y: float, text: str, colour: str, anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}">{escape(text)}</text>'


def _stroke(points: Sequence[tuple[float, float]], colour: str, more: str = "") -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{places}" fill="none" stroke="{colour}"{more}/>'


def _line(points: Sequence[tuple[float, float]], style: int, colours: Colours) -> str:
    dashes = f' stroke-dasharray="{DASHES[style]}"' if DASHES[style] else ""
    return _stroke(points, colours.series[style], f' stroke-width="2.5"{dashes}')


def _dot(x: float, y: float, style: int, colours: Colours) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colours.series[style]}"/>'


def _mark(x: float, y: float, style: int, colours: Colours) -> str:
    """Return the mark of a median: hollow, so that the values behind it can be seen."""
    size = 5.5
    corners = {
        1: [(-1, -1), (1, -1), (1, 1), (-1, 1)],
        2: [(0, -1.2), (1.2, 1), (-1.2, 1)],
        3: [(0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)],
    }.get(style)
    paint = f'fill="none" stroke="{colours.series[style]}" stroke-width="2"'
    if corners is None:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" {paint}/>'
    places = " ".join(f"{x + size * dx:.1f},{y + size * dy:.1f}" for dx, dy in corners)
    return f'<polygon points="{places}" {paint}/>'

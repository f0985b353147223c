"""The page of the guides that shows growth: pictures, what one sees in them, and their figures."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from textwrap import fill

from attrs import frozen

from benchmarks.support.charts import MODES, Chart, draw

GUIDES = Path(__file__).parents[2] / ".docs" / "guides"

INTRODUCTION = """# Growth

What more of everything costs: objects, calls, tasks and threads. Each dot is a measurement, and the
line joins the medians. The axes below are logarithmic, and so are those on the left that do not
begin at zero: there, a straight line is a cost that grows with the number, and a flat one is a cost
that does not.

This command measures all of it in a few minutes, and writes this page and its pictures:

```sh
python -m nox -s bench -- growth
```
"""


@frozen
class Growth:
    """A section of the page: a picture, and what one sees in it."""

    name: str
    heading: str
    text: str
    chart: Chart


def _machine() -> str:
    """Return the processor, as far as the system tells its name."""
    name = platform.processor() or platform.machine()
    described = Path("/proc/cpuinfo")
    if described.exists():
        lines = described.read_text(encoding="utf-8").splitlines()
        named = [line.partition(":")[2].strip() for line in lines if "model name" in line]
        name = named[0] if named else name
    return f"{name}, {os.cpu_count()} cores, {platform.system()}"


def _measured_with() -> str:
    packages = ("aiohttp", "msgspec", "pyarrow", "requests", "stripe")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    day = datetime.now(timezone.utc).date().isoformat()
    with_what = f"with Python {platform.python_version()}, {versions}"
    return fill(f"Measured on {day} on {_machine()}, {with_what}.", 100) + "\n"


def shown(value: float) -> str:
    """Return a number with as many places as matter."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(growth: Growth) -> str:
    """Return every median of a chart as a table."""
    series = [
        (f"{one.name}, {panel.label}" if len(growth.chart.panels) > 1 else one.name, one.medians())
        for panel in growth.chart.panels
        for one in panel.series
    ]
    head = growth.chart.label.partition(";")[0]
    unit = "" if len(growth.chart.panels) > 1 else f" ({growth.chart.panels[0].label})"
    lines = [
        f"| {head}{unit} | {' | '.join(name for name, _ in series)} |",
        f"|---:|{'---:|' * len(series)}",
    ]
    lines += [
        f"| {x:,} | {' | '.join(shown(medians[x]) for _, medians in series)} |"
        for x in series[0][1]
    ]
    return "\n".join(lines)


def _section(growth: Growth) -> str:
    alternative = f"{growth.chart.title}; the table below has the medians"
    pictures = "\n".join(
        f"![{alternative}](growth/{growth.name}-{mode}.svg#only-{mode})" for mode in MODES
    )
    details = (
        f'<details markdown="1">\n<summary>The medians</summary>\n\n{table(growth)}\n\n</details>'
    )
    text = fill(growth.text, 100)
    return f"## {growth.heading}\n\n{text}\n\n{pictures}\n\n{details}\n"


def write(growths: Sequence[Growth]) -> None:
    """Write the page and its pictures."""
    folder = GUIDES / "growth"
    folder.mkdir(exist_ok=True)
    for growth in growths:
        for mode, colours in MODES.items():
            path = folder / f"{growth.name}-{mode}.svg"
            path.write_text(draw(growth.chart, colours), encoding="utf-8")
    parts = [INTRODUCTION, _measured_with(), *map(_section, growths)]
    (GUIDES / "growth.md").write_text("\n".join(parts), encoding="utf-8")

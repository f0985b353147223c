"""The released wheel: what is in it, what it asks for, and that only the source makes its bytes."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

import pinstripe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # comes with hatchling

ROOT = Path(__file__).parents[1]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
EPOCH = "1790510912"

# Everything that a plain `pip install` brings along, and why. A new name has to be justified here.
INSTALLED = {
    "aiohappyeyeballs": "aiohttp: connects over IPv6 and IPv4",
    "aiohttp": "ours",
    "aiosignal": "aiohttp",
    "anyio": "ours",
    "async-timeout": "ours, on Python 3.10",
    "attrs": "ours",
    "cattrs": "ours",
    "exceptiongroup": "anyio and cattrs, on Python 3.10",
    "frozenlist": "aiohttp",
    "idna": "anyio and yarl",
    "jinja2": "ours: the pages of the sandbox",
    "markupsafe": "jinja2",
    "msgspec": "ours",
    "multidict": "aiohttp: headers",
    "propcache": "aiohttp and yarl",
    "typing-extensions": "ours",
    "yarl": "aiohttp: addresses",
}


def build(tree: Path, place: Path) -> Path:
    """Build the wheel of a tree, with what is installed: nothing comes from the network."""
    environ = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)]
    subprocess.run(command, cwd=tree, env=environ, check=True, capture_output=True, timeout=60)
    (wheel,) = place.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def content(wheel: Path) -> Iterator[ZipFile]:
    with ZipFile(wheel) as opened:
        yield opened


def part(content: ZipFile, name: str) -> str:
    return content.read(f"pinstripe-{pinstripe.__version__}.dist-info/{name}").decode()


def headers(content: ZipFile, name: str) -> Message:
    return email.message_from_string(part(content, name))


def test_it_is_for_every_python_and_machine(wheel, content) -> None:
    assert wheel.name == f"pinstripe-{pinstripe.__version__}-py3-none-any.whl"
    told = headers(content, "WHEEL")
    assert (told["Root-Is-Purelib"], told["Tag"]) == ("true", "py3-none-any")


def test_it_holds_the_package_and_nothing_else(content) -> None:
    names = content.namelist()
    about = f"pinstripe-{pinstripe.__version__}.dist-info/"
    held = {name for name in names if not name.startswith(about)}
    kinds = {".py", ".html", ".css", ".js"}
    files = (path for path in (ROOT / "pinstripe").rglob("*") if path.suffix in kinds)
    names_of_files = {path.relative_to(ROOT).as_posix() for path in files}
    generator = {name for name in names_of_files if name.startswith("pinstripe/_codegen/")}
    assert held == names_of_files - generator | {"pinstripe/py.typed"}
    assert len(names) == len(set(names))
    kept = {name.removeprefix(about) for name in names if name.startswith(about)}
    assert kept == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    assert part(content, "licenses/LICENSE") == (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_it_asks_for_what_is_declared_and_no_more(content) -> None:
    project: dict[str, Any] = tomllib.loads(PROJECT)["project"]
    told = headers(content, "METADATA")
    asked = {str(Requirement(line)) for line in told.get_all("Requires-Dist", [])}
    declared = {str(Requirement(line)) for line in project["dependencies"]}
    for extra, lines in project["optional-dependencies"].items():
        declared |= {str(Requirement(f"{line}; extra == '{extra}'")) for line in lines}
    assert asked == declared
    assert told["Name"] == "pinstripe"
    assert told["Version"] == pinstripe.__version__
    assert told["Requires-Python"] == project["requires-python"]


def test_it_starts_the_command_and_the_plugin(content) -> None:
    told = part(content, "entry_points.txt")
    assert "[console_scripts]\npinstripe = pinstripe.cli:main" in told
    assert "[pytest11]\npinstripe = pinstripe.pytest_plugin" in told


def test_its_bytes_hang_on_the_source_alone(wheel, tmp_path) -> None:
    """Another folder, other times and permissions, and what a workshop leaves lying about."""
    tree = tmp_path / "elsewhere"
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        (tree / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, tree / name)
    shutil.copytree(ROOT / "pinstripe", tree / "pinstripe", copy_function=shutil.copyfile)
    (tree / "pinstripe" / "_codegen" / "left.py").write_text("raise SystemExit\n")
    (tree / "pinstripe" / "__pycache__").mkdir(exist_ok=True)
    (tree / "pinstripe" / "__pycache__" / "left.pyc").write_bytes(b"left")
    (tree / "tests").mkdir()
    (tree / "tests" / "test_left.py").write_text("")
    for path in tree.rglob("*.py"):
        path.chmod(0o600)
        os.utime(path, (1, 1))
    again = build(tree, tmp_path / "wheel")
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def names_installed(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """What a distribution brings along, as it is installed here."""
    found, waiting = set[str](), [(name, extras)]
    while waiting:
        name, extras = waiting.pop()
        for line in metadata.requires(name) or ():
            wanted = Requirement(line)
            marker, also = wanted.marker, sorted(extras) or [""]
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in also):
                canonical = re.sub(r"[-_.]+", "-", wanted.name).lower()
                if canonical not in found:
                    found.add(canonical)
                    waiting.append((canonical, frozenset(wanted.extras)))
    return found


def test_what_is_installed_with_it_is_counted() -> None:
    assert names_installed("pinstripe") <= INSTALLED.keys()


def test_every_dependency_has_its_reason() -> None:
    told: dict[str, Any] = tomllib.loads(PROJECT)
    project = told["project"]
    lists = [told["build-system"]["requires"], project["dependencies"]]
    lists += [*project["optional-dependencies"].values(), *told["dependency-groups"].values()]
    for wanted in (wanted for several in lists for wanted in several if isinstance(wanted, str)):
        lines = [line for line in PROJECT.splitlines() if f'"{wanted}"' in line]
        assert lines
        assert all(re.search(r"# \w", line) for line in lines), wanted

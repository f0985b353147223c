"""Names that import their module when they are first used, on a package made for the test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

INIT = """
from pinstripe._lazy import lazy_names

__all__ = ["attic", "bed", "broken", "stove"]
__getattr__, __dir__ = lazy_names(__name__, __all__, ("_kitchen", "_bedroom"))
"""
MODULES = {
    "__init__": INIT,
    "_kitchen": "stove = object()",
    "_bedroom": "import house._kitchen\nbed = object()",
    "attic": "",
    "broken": "import house_of_nobody",
}
PRELUDE = """
import sys, threading
def loaded(): return {name.partition(".")[2] for name in sys.modules if name.startswith("house.")}
import house
assert loaded() == set()
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Path:
    path: Path = tmp_path_factory.mktemp("houses")
    (path / "house").mkdir()
    for name, text in MODULES.items():
        (path / "house" / f"{name}.py").write_text(text, encoding="utf-8")
    return path


def run(house: Path, script: str) -> None:
    command = [sys.executable, "-W", "error", "-c", PRELUDE + script]
    subprocess.run(command, check=True, timeout=60, cwd=house)


@pytest.mark.parametrize(
    "script",
    [
        "house.stove; assert loaded() == {'_kitchen'}",
        "house.bed; assert loaded() == {'_kitchen', '_bedroom'}",
        "house.attic; assert loaded() == {'attic'}",
        "from house import attic, stove; assert loaded() == {'attic', '_kitchen'}",
        "import house.attic; assert house.attic is sys.modules['house.attic']",
    ],
)
def test_only_the_module_of_a_name_is_imported(house, script) -> None:
    run(house, script)


def test_a_name_is_looked_for_once(house) -> None:
    run(house, "assert house.bed is vars(house)['bed'] is sys.modules['house._bedroom'].bed")


def test_threads_see_one_object(house) -> None:
    run(
        house,
        """
found, barrier = [], threading.Barrier(8)
def touch(): barrier.wait(); found.append(house.bed)
threads = [threading.Thread(target=touch) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(found) == 8 and len(set(map(id, found))) == 1
""",
    )


def test_a_name_that_is_not_there_imports_nothing(house) -> None:
    run(
        house,
        """
try: house.bath
except AttributeError as error: assert (error.name, error.obj) == ("bath", house)
else: raise AssertionError
assert not hasattr(house, "_kitchen") and loaded() == set()
""",
    )


def test_a_module_that_cannot_be_imported_says_why(house) -> None:
    run(
        house,
        """
try: house.broken
except ModuleNotFoundError as error: assert error.name == "house_of_nobody"
else: raise AssertionError
""",
    )


def test_the_names_are_listed_before_they_are_touched(house) -> None:
    run(house, "assert {*house.__all__, '__name__'} <= set(dir(house)) and loaded() == set()")

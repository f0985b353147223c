"""The workshop: `demo`, `tests`, `lint`, `types`, `bench`, `audit` and `fuzz`."""

import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["tests", "lint", "types"]
nox.options.error_on_missing_interpreters = False
nox.options.default_venv_backend = "uv|virtualenv"

THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHONS = sorted({"3.10", "3.11", "3.12", "3.13", THIS_PYTHON}, key=lambda v: v.split("."))
CODE = ("pinstripe", "tests", "benchmarks", "noxfile.py")


def _install(session: nox.Session, *groups: str) -> None:
    project = nox.project.load_toml("pyproject.toml")
    # Most of it is never imported; what is, Python compiles then.
    needed = nox.project.dependency_groups(project, *groups)
    session.install("--no-compile", "-e", ".[cli]", *needed)


@nox.session
def demo(session: nox.Session) -> None:
    """Show what the package does, against the embedded sandbox."""
    session.install("-e", ".[cli]")
    session.run("pinstripe", "demo", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on every Python that is installed, a process for each core.

    Branch coverage is counted on the Python that runs this; the others draw fewer examples.
    """
    _install(session, "tests")
    run = ["pytest", "-n", "auto", "--dist", "worksteal", *session.posargs]
    if session.python != THIS_PYTHON:
        session.run(*run, "--hypothesis-profile", "quick")
        return
    session.env["COVERAGE_FILE"] = f"{session.virtualenv.location}/coverage"
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", *run)
    session.run("coverage", "combine", "--quiet")
    if not session.posargs:
        session.run("coverage", "report")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, that docstrings tell every argument, and that generated code is not stale."""
    _install(session, "lint")
    session.run("ruff", "check", *CODE)
    session.run("ruff", "check", "--preview", "--select", "DOC102", "pinstripe")
    session.run("ruff", "format", "--check", *CODE)
    session.run("python", "-m", "pinstripe._codegen.sync_client", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the package, and what a user's code infers from it."""
    _install(session, "types")
    session.run("mypy")
    session.run("pyright")


@nox.session
def audit(session: nox.Session) -> None:
    """Look up known vulnerabilities of everything that a user installs; needs the network."""
    session.install("-e", ".[cli]")
    freeze = ("python", "-m", "pip", "freeze", "--exclude-editable")
    installed = Path(session.create_tmp()) / "installed.txt"
    installed.write_text(str(session.run(*freeze, silent=True)), encoding="utf-8")
    _install(session, "audit")
    exact = ("--requirement", str(installed), "--no-deps", "--disable-pip")
    session.run("pip-audit", "--strict", *exact, *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz parsers and decoders: `nox -s fuzz -- signature 60` for one target and 60 seconds."""
    _install(session, "fuzz")
    session.run("python", "-m", "tests.fuzz", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against the peers, in one run."""
    _install(session, "bench")
    session.run("python", "-m", "benchmarks", *session.posargs)

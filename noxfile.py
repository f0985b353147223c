"""The workshop: `python -m nox -s demo`, `tests`, `lint`, `types`, `docs` and `bench`."""

import sys

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["tests", "lint", "types", "docs"]
nox.options.error_on_missing_interpreters = False

THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHONS = sorted({"3.10", "3.11", "3.12", "3.13", THIS_PYTHON}, key=lambda v: v.split("."))
CODE = ("pinstripe", "tests", "benchmarks", "noxfile.py")


def _install(session: nox.Session, *groups: str) -> None:
    project = nox.project.load_toml("pyproject.toml")
    session.install("-e", ".[cli]", *nox.project.dependency_groups(project, *groups))


@nox.session
def demo(session: nox.Session) -> None:
    """Show what the package does, against the embedded sandbox."""
    session.install("-e", ".[cli]")
    session.run("pinstripe", "demo", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests with branch coverage, on every Python that is installed."""
    _install(session, "tests")
    session.env["COVERAGE_FILE"] = f"{session.virtualenv.location}/coverage"
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "combine", "--quiet")
    if not session.posargs:
        session.run("coverage", "report")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting, and that the generated client is not stale."""
    _install(session, "lint")
    session.run("ruff", "check", *CODE)
    session.run("ruff", "format", "--check", *CODE)
    session.run("python", "-m", "pinstripe._gensync", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the package, and what a user's code infers from it."""
    _install(session, "types")
    session.run("mypy")
    session.run("pyright")


@nox.session
def docs(session: nox.Session) -> None:
    """Check that docstrings tell every argument, and that the README's snippets run."""
    _install(session, "tests", "lint")
    session.run("ruff", "check", "--preview", "--select", "DOC102", "pinstripe")
    session.run("pytest", "tests/test_readme.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against the peers, in one run."""
    _install(session, "bench")
    session.run("python", "-m", "benchmarks", *session.posargs)

"""The workshop: `demo`, `tests`, `seam`, `lint`, `types`, `docs`, `bench`, `audit` and `fuzz`."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["tests", "lint", "types", "docs"]
nox.options.error_on_missing_interpreters = False
nox.options.default_venv_backend = "uv|virtualenv"

SUPPORTED = ("3.10", "3.11", "3.12", "3.13", "3.14", "3.15")
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHONS = sorted({*SUPPORTED, THIS_PYTHON}, key=lambda version: int(version.partition(".")[2]))
CODE = ("pinstripe", "tests", "benchmarks", "noxfile.py", ".docs")

TRIED: list[str] = []
"""The Pythons that the tests of this run were started on."""


def _install(session: nox.Session, *groups: str) -> None:
    # Where the machine asks Python for no bytecode, hundreds of processes would compile all anew.
    session.env["PYTHONDONTWRITEBYTECODE"] = ""
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

    Branch coverage is counted on the Python that runs this; the others draw fewer examples, and
    leave the browser out, which runs the same pages whatever Python serves them. They also leave
    out the command line, and all but the newest the sandbox, which depend least on the version of
    Python and take half of the time. Those between the oldest and the newest run what depends most
    on it: event loops, threads, forks and tracebacks.
    """
    TRIED.append(str(session.python))
    session.notify("tried")
    _install(session, "tests")
    run = ["-m", "pytest", "-n", "auto", "--dist", "worksteal", *session.posargs]
    if session.python != THIS_PYTHON:
        left_out = ["cli", "sandbox/pages" if session.python == _newest() else "sandbox"]
        chosen = [f"--ignore=tests/{folder}" for folder in left_out]
        if session.python not in (SUPPORTED[0], _newest()):
            chosen = [f"tests/{folder}" for folder in ("concurrency", "core", "http", "sync")]
        session.run("python", *run, "--hypothesis-profile", "quick", *chosen)
        return
    session.env["COVERAGE_FILE"] = f"{session.virtualenv.location}/coverage"
    session.run("coverage", "erase")
    session.run("coverage", "run", *run)
    session.run("coverage", "combine", "--quiet")
    if not session.posargs:
        session.run("coverage", "report")


@nox.session(venv_backend="none", default=False)
def tried(session: nox.Session) -> None:
    """Say on which Pythons the tests ran, and what they left out; runs behind them by itself."""
    rest = [version for version in PYTHONS if version not in TRIED]
    session.log("Tests ran on Python %s.", ", ".join(TRIED) or "none")
    for problem, versions in {
        "are not installed here": [version for version in rest if not _is_installed(version)],
        "are installed, and were not asked for": [v for v in rest if _is_installed(v)],
    }.items():
        if versions:
            session.warn("These Pythons %s: %s.", problem, ", ".join(versions))
    for command, left_out in {
        "redis-server": "the tests of RedisStore and of SharedBudget",
        "chromium": "the tests of the sandbox's pages",
    }.items():
        if shutil.which(command) is None:
            session.warn("Left out: %s, since there is no %s here.", left_out, command)
    # Debian keeps it out of the path.
    debian = list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if shutil.which("initdb") is None and not debian:
        session.warn("Left out: the tests of stores in PostgreSQL, since there is none here.")


NETWORK = (
    *("config", "core", "http", "sync", "products/test_files.py", "resources/test_transfer.py"),
    *("test_chaos.py", "test_coldstart.py", "test_faults.py", "test_leaks.py"),
    *("test_leaks_of_calls.py", "test_loop_blocking.py", "test_loops.py", "test_otel.py"),
)
"""The tests of what goes over the network."""


@nox.session
def seam(session: nox.Session) -> None:
    """Run what tests the network over both ways to send, on the oldest and the newest aiohttp.

    The usual tests do so for the installed aiohttp and a few of these tests.
    """
    _install(session, "tests")
    dependencies = nox.project.load_toml("pyproject.toml")["project"]["dependencies"]
    (newest,) = (one for one in dependencies if re.match(r"aiohttp\b", one))
    oldest = newest.partition(",")[0].replace(">=", "==")
    run = ["python", "-m", "pytest", "-n", "auto", "--dist", "worksteal", *session.posargs]
    run += ["--hypothesis-profile", "quick"]
    chosen = [f"tests/{name}" for name in NETWORK]
    # Those that change aiohttp themselves are left out where it is changed.
    changed = ["-p", "tests.support.future_aiohttp"]
    changed += [f"--ignore=tests/http/test_{name}.py" for name in ("compatibility", "session")]
    for version in (oldest, newest):
        session.install("--no-compile", "--upgrade", version)
        session.run(*run, *chosen)
        session.run(*run, *chosen, *changed)


def _newest() -> str:
    return [version for version in PYTHONS if _is_installed(version)][-1]


def _is_installed(version: str) -> bool:
    # A shim of pyenv is there for every version, and fails for those that are switched off.
    command = shutil.which(f"python{version}")
    return (
        command is not None
        and not subprocess.run([command, "--version"], capture_output=True, check=False).returncode
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, that docstrings name every argument, and that generated code is not stale."""
    _install(session, "lint")
    session.run("ruff", "check", *CODE)
    session.run("ruff", "check", "--preview", "--select", "DOC102", "pinstripe")
    session.run("ruff", "format", "--check", *CODE)
    session.run("python", "-m", "pinstripe._codegen.sync_client", "--check")
    session.run("python", "-m", "pinstripe._codegen.command_line", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the package, what a user's code infers from it, and the documents'."""
    _install(session, "types")
    session.run("mypy")
    session.run("pyright")
    blocks = Path(session.create_tmp()) / "blocks"
    session.run("python", "-m", "tests.support.blocks", str(blocks))
    session.run("mypy", "--config-file=", "--strict", str(blocks))
    session.run("pyright", "--project", str(blocks))


@nox.session(python=None if sys.version_info >= (3, 11) else "3.11")  # zensical needs it
def docs(session: nox.Session) -> None:
    """Build the site of guides and API reference into build/docs; a warning is an error."""
    session.install(*nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "docs"))
    session.run("python", ".docs/build.py")


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

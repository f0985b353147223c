"""Children that begin with everything imported, which is most of what a short child does.

One process of this run imports the package and its libraries, and each child is a fork of it, with
a main module, streams and warnings of its own. It counts what it covers if its environment says
so, and ends as any process of Python does. What is about the start of Python, or about imports,
needs a new process, as `subprocess` starts one.
"""

from __future__ import annotations

import atexit
import builtins
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from multiprocessing.connection import wait
from pathlib import Path
from typing import IO, Any

IMPORTED = (
    "aiohttp.web",
    "anyio._backends._asyncio",
    "coverage",
    "jinja2",
    "pinstripe.cli._main",
    "pinstripe.cli._quotes.batch",
    "pinstripe.export._export",
    "pinstripe.sandbox._sandbox",
    "pinstripe.sandbox._server",
    "pinstripe.sync._generated",
    "pytest",
    "rich.progress",
)
CAN_FORK = hasattr(os, "fork")
_LENGTH = 4
_SENDING = threading.Lock()


# --- where children are started -------------------------------------------------------------------


class Child:
    """A started child; its members are those of `subprocess.Popen`."""

    def __init__(self, args: Sequence[str], status: IO[bytes], pipes: Sequence[Any]) -> None:
        self.args = args
        self.returncode: int | None = None
        self.stdin, self.stdout, self.stderr = pipes
        self._status = status
        self.pid = int(status.readline())

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()
        self.wait()

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not wait([self._status.fileno()], timeout):
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(self._status.readline())
            self._status.close()
        return self.returncode

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, input: Any = None, timeout: float | None = None) -> tuple[Any, Any]:
        """Write to the child, and return all that it says; one that takes too long is killed."""
        with ThreadPoolExecutor(2) as pool:
            read = [pipe and pool.submit(pipe.read) for pipe in (self.stdout, self.stderr)]
            try:
                self._write(input)
                self.wait(timeout)
            except BaseException:
                self.kill()
                raise
            out, err = (one and one.result() for one in read)
        self.__exit__()
        return out, err

    def _write(self, input: Any) -> None:
        if self.stdin is not None:
            try:
                if input:
                    self.stdin.write(input)
                self.stdin.close()
            except BrokenPipeError:  # it reads no more
                pass


def start(
    arguments: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    text: bool = False,
    fresh: Sequence[str] = (),
    in_terminal: bool = False,
) -> Any:
    """Start a child as `subprocess.Popen([sys.executable, *arguments], ...)` does.

    Args:
        arguments: Those of Python: `-W` and its value so many times, then a script, or `-m` and
            a module, or `-c` and code; then those of the program.
        env: Its environment.
        cwd: Its working directory.
        stdin: As `subprocess.Popen` has it; so are the next two.
        stdout: As above.
        stderr: As above.
        text: Whether its pipes are of text.
        fresh: The packages that it is to import itself.
        in_terminal: Whether its input is the terminal of a session of its own.
    """
    words = [str(word) for word in arguments]
    streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
    if not CAN_FORK:
        command = [sys.executable, *words]
        return subprocess.Popen(command, env=env, cwd=cwd, text=text, **streams)
    theirs, ours = zip(*map(_stream, range(3), streams.values(), [text] * 3), strict=True)
    ended, status = os.pipe()
    where = str(cwd or Path.cwd())
    environ = dict(os.environ if env is None else env)
    message = json.dumps([words, environ, where, [*fresh], in_terminal]).encode()
    with _SENDING:
        nest = _nest()
        length = len(message).to_bytes(_LENGTH, "big")
        socket.send_fds(nest, [length], [*theirs, status])
        nest.sendall(message)
    for descriptor in (*theirs, status):
        os.close(descriptor)
    return Child(words, os.fdopen(ended, "rb"), ours)


def run(
    arguments: Sequence[str | Path], *, input: Any = None, timeout: float, **options: Any
) -> subprocess.CompletedProcess[Any]:
    """Run a child to its end; the options are those of `start`."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start(arguments, **{**pipes, **options}) as child:
        out, err = child.communicate(input, timeout)
    return subprocess.CompletedProcess(child.args, child.returncode, out, err)


def _stream(number: int, wanted: Any, text: bool) -> tuple[int, IO[Any] | None]:
    """Return the descriptor that is a stream of the child, and our end of it if it is a pipe."""
    if wanted == subprocess.PIPE:
        reader, writer = os.pipe()
        if number == 0:
            return reader, os.fdopen(writer, "w" if text else "wb")
        return writer, os.fdopen(reader, "r" if text else "rb")
    if wanted == subprocess.DEVNULL:
        return os.open(os.devnull, os.O_RDWR), None
    if wanted is None:
        return os.dup(number), None
    return os.dup(wanted if isinstance(wanted, int) else wanted.fileno()), None


@cache
def _nest() -> socket.socket:
    """Start the process that is forked; it ends when this one has."""
    ours, theirs = socket.socketpair()
    code = "import tests.support.warm as warm; warm.serve()"
    with theirs:
        holder = subprocess.Popen(
            [sys.executable, "-c", code], stdin=theirs, cwd=Path(__file__).parents[2]
        )

    def end() -> None:
        ours.close()
        holder.wait()

    atexit.register(end)
    return ours


# --- in the process that is forked, and in its children ------------------------------------------


def serve() -> None:
    """Fork a child for each request; in a child, return when its program has ended."""
    for module in IMPORTED:
        importlib.import_module(module)
    gc.freeze()  # the collector of a child would copy every page of it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how those ended that keep a child
    requests = socket.socket(fileno=os.dup(0))
    while True:
        length, descriptors, *_ = socket.recv_fds(requests, _LENGTH, 4)
        if not length:
            return
        message = requests.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL)
        if os.fork() == 0:
            requests.close()
            break
        for descriptor in descriptors:
            os.close(descriptor)
    _keep_a_child(descriptors[3])
    words, env, cwd, fresh, in_terminal = json.loads(message)
    _begin(descriptors[:3], env, cwd)
    if in_terminal:
        import fcntl
        import termios

        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for name in [name for name in sys.modules if name.partition(".")[0] in fresh]:
        del sys.modules[name]
    _run(words)


def _keep_a_child(status: int) -> None:
    """Fork, and return in the child; the parent waits for its end, and reports it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if child := os.fork():
        os.closerange(0, 3)
        os.write(status, b"%d\n" % child)
        _, ended = os.waitpid(child, 0)
        os.write(status, b"%d\n" % os.waitstatus_to_exitcode(ended))
        os._exit(0)
    os.close(status)


def _begin(descriptors: Sequence[int], env: Mapping[str, str], cwd: str) -> None:
    """Make this process as a new one would be."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    for name, mode, buffering in (("stdin", "r", -1), ("stdout", "w", -1), ("stderr", "w", 1)):
        old = getattr(sys, name)
        number = old.fileno()
        made = open(number, mode, buffering, old.encoding, old.errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, made)
        setattr(sys, f"__{name}__", made)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if "COVERAGE_PROCESS_CONFIG" in env:
        importlib.import_module("coverage").process_startup()


def _run(words: list[str]) -> None:
    """Run a program as the main module, with the warnings that it is to have."""
    while words[0] == "-W":
        _, option, *words = words
        sys.warnoptions.append(option)
        action, _, category = option.partition("::")
        warnings.simplefilter(action, getattr(builtins, category or "Warning"))  # type: ignore[arg-type]
    program = vars(sys.modules["__main__"])
    del program["warm"]
    if words[0] == "-m":
        sys.argv, sys.path[0] = words[1:], str(Path.cwd())
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif words[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *words[2:]], ""
        exec(compile(words[1], "<string>", "exec", dont_inherit=True), program)
    else:
        sys.argv, sys.path[0] = words, str(Path(words[0]).parent)
        program["__file__"] = words[0]
        source = Path(words[0]).read_bytes()
        exec(compile(source, words[0], "exec", dont_inherit=True), program)

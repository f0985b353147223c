"""The unfinished output of an export, and how far it is complete.

An export keeps these hidden files beside its output `sessions.csv`:

    .sessions.csv.part   the rows so far
    .sessions.csv.mark   the checkpoint: how many bytes and objects of the part are complete
    .sessions.csv.lock   the lock of the run that writes them
    .sessions.csv.whole  the output of a format that is made from the part at the end

The checkpoint is replaced as a whole after each batch, when the rows are on the disk. However a
run ends, the next one cuts off the rows after the checkpoint and resumes there. Just before the
output gets its name, the checkpoint also notes the identity of that file: if the run is killed
then, the next one can tell its own output from another file. Only their owner may read these
files and the output. They are opened by their own names only: a link in the place of one is an
error, or is removed where a new file is made.

`pinstripe quotes batch` resumes without a checkpoint, see `pinstripe.cli._quotes.output`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeAlias

from attrs import asdict, evolve, frozen

from pinstripe._core.errors import ConfigurationError
from pinstripe._disk.append import AppendFile, open_append
from pinstripe._disk.destination import publish
from pinstripe._disk.lock import FileLock
from pinstripe._disk.outputs import open_hidden

NO_FILE = "must be a file in a folder that exists"

Finish: TypeAlias = Callable[[IO[bytes], IO[bytes]], None]
"""Reads a partial file, and writes the output that it becomes."""

Announce: TypeAlias = Callable[[int, int], None]
"""Is called with the objects and the bytes of an output, just before it appears."""


@frozen
class Checkpoint:
    """How far an export has come.

    Attributes:
        source: A digest of what is exported, and how.
        size: The bytes of the partial file that are complete.
        items: How many objects are in them.
        last: The id of the last object.
        newest: The second in which the first object was created; None if objects have no time.
        overwrite: Whether the output may replace another file.
        output_identity: What distinguishes the file that becomes the output from any other; None
            until all rows are written.
    """

    source: str
    size: int = 0
    items: int = 0
    last: str | None = None
    newest: int | None = None
    overwrite: bool = False
    output_identity: str | None = None


class PartialFile:
    """The unfinished output of an export, which one run at a time may write.

    Args:
        output: The path of the finished file.
        announce: Is called just before the output appears.

    Attributes:
        output: The same path.
    """

    def __init__(self, output: Path, announce: Announce | None = None) -> None:
        self.output = output
        self._announce = announce
        self._lock = FileLock(output)
        self._has_no_items = False
        self._path = output.with_name(f".{output.name}.part")
        self._whole_path = output.with_name(f".{output.name}.whole")
        self._checkpoint_path = output.with_name(f".{output.name}.mark")
        self._new_checkpoint_path = output.with_name(f".{output.name}.mark.new")
        self._file: AppendFile | None = None

    @property
    def exists(self) -> bool:
        """Whether an earlier run left one."""
        return os.path.lexists(self._checkpoint_path)

    def begin(self, source: str, *, resume: bool, overwrite: bool) -> Checkpoint:
        """Keep other runs out until `release`, and return where to start.

        Args:
            source: A digest of what is exported, and how.
            resume: Whether to start where an earlier run stopped.
            overwrite: Whether the output may replace another file.

        Raises:
            ConfigurationError: The output cannot be written, another run is writing it, it exists,
                or the earlier run was of something else.
            OSError: The files of an earlier run cannot be read.
        """
        if not self.output.parent.is_dir() or self.output.is_dir():
            raise ConfigurationError("output", NO_FILE)
        # The lock comes first: another run could change the files that decide where to start.
        self._acquire()
        if self.exists and not (resume or overwrite):
            raise ConfigurationError("output", "was begun by an earlier run: resume, or overwrite")
        checkpoint = Checkpoint(source)
        if resume and self.exists:
            checkpoint = self._read_checkpoint(source)
        checkpoint = evolve(checkpoint, overwrite=overwrite or checkpoint.overwrite)
        may_replace = checkpoint.overwrite or checkpoint.output_identity is not None
        if os.path.lexists(self.output) and not may_replace:
            raise ConfigurationError("output", "exists already: give another name, or overwrite")
        return checkpoint

    def _acquire(self) -> None:
        try:
            acquired = self._lock.acquire()
        except OSError as error:
            problem = f"cannot be locked: {error.filename} {error.strerror}"
            raise ConfigurationError("output", problem) from None
        if not acquired:
            raise ConfigurationError("output", "is being written by another export")

    def release(self) -> None:
        """End the run; the partial file stays for the next one if it has at least one object."""
        try:
            self._close()
            if self._has_no_items:
                self._discard()
        finally:
            self._lock.release()

    def _read_checkpoint(self, source: str) -> Checkpoint:
        """Return how far an earlier run came.

        It has an `output_identity` if that run had finished the output, but was killed before it
        could remove the checkpoint.
        """
        try:
            with open(self._checkpoint_path, "rb", opener=open_hidden) as file:
                checkpoint = Checkpoint(**json.loads(file.read()))
        except (ValueError, TypeError):
            raise _cannot_resume("is damaged") from None
        if checkpoint.source != source:
            raise _cannot_resume("is of another list, filter, format or set of columns")

        # The run was killed after the output had its name, and nobody has changed that since.
        identity = checkpoint.output_identity
        if identity is not None and identity == _identity(self.output):
            return checkpoint

        # The output had its name, and somebody has changed or moved it since. The part is gone, or
        # is the same file under a second name and changed too: start again.
        part = _lstat(self._path)
        if identity is not None and (part is None or part.st_nlink > 1):
            return Checkpoint(source)

        # The run ended before the output had its name: resume after the last complete batch.
        if part is None or part.st_size < checkpoint.size:
            raise _cannot_resume("is damaged")
        return evolve(checkpoint, output_identity=None)

    def open(self, checkpoint: Checkpoint, finish: Finish | None) -> bool:
        """Open the partial file, cut to the bytes that are complete, and return True.

        Args:
            checkpoint: How many those are; if none, the files of an earlier run are discarded.
            finish: See `publish`.

        Raises:
            OSError: It cannot be opened.
        """
        self._has_no_items = not checkpoint.items
        if not checkpoint.size:
            self._discard()
        self._file = open_append(self._path, checkpoint.size, hidden=True)
        return True

    def write(self, data: bytes, checkpoint: Checkpoint) -> None:
        """Append rows, and then note that they are complete.

        Args:
            data: The rows.
            checkpoint: How far the export has come with them.

        Raises:
            OSError: They cannot be written.
        """
        assert self._file is not None
        self._file.write(data)
        # The rows reach the disk before the checkpoint does: it never promises missing rows.
        self._file.sync()
        self._write_checkpoint(checkpoint)
        self._has_no_items = self._has_no_items and not checkpoint.items

    def publish(self, finish: Finish | None, checkpoint: Checkpoint) -> None:
        """Make the output from the partial file, unless an earlier run did, and remove that.

        Args:
            finish: Writes the output; None if the partial file is the output as it is.
            checkpoint: How far the export has come, and whether it may replace another file.

        Raises:
            FileExistsError: Another file has taken the name of the output.
            OSError: It cannot be written; the partial file stays for another run.
        """
        self._close()
        try:
            if checkpoint.output_identity is None:
                whole = self._path
                if finish is not None:
                    whole = self._whole_path
                    _remove(whole)  # a killed run may have left one
                    with (
                        open(self._path, "rb", opener=open_hidden) as part,
                        open(whole, "xb", opener=open_hidden) as new,
                    ):
                        finish(part, new)
                if self._announce is not None:
                    self._announce(checkpoint.items, whole.stat().st_size)
                self.deliver(whole, checkpoint)
        finally:
            _remove(self._whole_path)
        _remove(self._path)
        # Last: until then a killed run leaves the proof that the output is its own.
        _remove(self._checkpoint_path)

    def deliver(self, whole: Path, checkpoint: Checkpoint) -> None:
        """Give the complete output its name.

        Args:
            whole: The output under a hidden name, which `publish` removes.
            checkpoint: As of `publish`.

        Raises:
            FileExistsError: Another file has taken the name.
            OSError: It cannot be written.
        """
        self._write_checkpoint(evolve(checkpoint, output_identity=_identity(whole)))
        publish(whole, self.output, overwrite=checkpoint.overwrite)

    def _write_checkpoint(self, checkpoint: Checkpoint) -> None:
        _remove(self._new_checkpoint_path)  # a killed run may have left one
        with open(self._new_checkpoint_path, "x", encoding="utf-8", opener=open_hidden) as file:
            json.dump(asdict(checkpoint), file)
        self._new_checkpoint_path.replace(self._checkpoint_path)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _discard(self) -> None:
        # The checkpoint goes first: without it, no later run resumes from what is left.
        for path in (
            self._checkpoint_path,
            self._new_checkpoint_path,
            self._path,
            self._whole_path,
        ):
            _remove(path)


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _identity(path: Path) -> str | None:
    """Return what a file keeps when it gets another name, and no other file has."""
    found = _lstat(path)
    return None if found is None else f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"


def _cannot_resume(fault: str) -> ConfigurationError:
    problem = f"the unfinished export {fault}: give another name, or overwrite without resume"
    return ConfigurationError("resume", problem)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)

"""Where a data set is: a folder of this machine, or an address that pyarrow opens.

A file appears under its name when it is whole, in both. Names are relative to the data set, with
`/` between folders. Every method may wait for a disk or a network, so it is called in a thread.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Protocol

from pinstripe._disk.destination import replace_file
from pinstripe._disk.source import path_of
from pinstripe.export._objects import ObjectFolder, is_address, local_path
from pinstripe.export._partial import Announce, PartialFile


class Store(Protocol):
    """The files of a data set."""

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield the lines of a file; raises `FileNotFoundError` if there is none."""
        ...

    def size(self, name: str) -> int | None:
        """Return the bytes of a file; None if there is none."""
        ...

    def write(self, name: str, data: IO[bytes]) -> None:
        """Write a file, and replace an older one."""
        ...

    def files(self, folder: str) -> dict[str, int]:
        """Return the names of the files in a folder, with their bytes; none if it is not there."""
        ...

    def output(self, name: str, announce: Announce) -> PartialFile:
        """Return an output of an export; see `PartialFile` for `announce`."""
        ...


class LocalFolder:
    """A folder of this machine.

    Only its owner may look into the folders and files that are made.

    Args:
        root: Its path.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def lines(self, name: str) -> Iterator[bytes]:
        """See `Store.lines`."""
        with (self._root / name).open("rb") as file:
            yield from file

    def size(self, name: str) -> int | None:
        """See `Store.size`."""
        path = self._root / name
        return path.stat().st_size if path.is_file() else None

    def write(self, name: str, data: IO[bytes]) -> None:
        """See `Store.write`."""
        replace_file(self._made(name), partial(shutil.copyfileobj, data))

    def files(self, folder: str) -> dict[str, int]:
        """See `Store.files`."""
        try:
            with os.scandir(self._root / folder) as entries:
                return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
        except FileNotFoundError:
            return {}

    def output(self, name: str, announce: Announce) -> PartialFile:
        """See `Store.output`."""
        return PartialFile(self._made(name), announce)

    def _made(self, name: str) -> Path:
        path = self._root / name
        # One by one: `mkdir` gives the folders above the last one the usual mode.
        for folder in (*reversed(path.parent.parents), path.parent):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)
        return path


def store_at(url: str) -> Store:
    """Return the data set at an address.

    Args:
        url: See `address_of`.

    Raises:
        ConfigurationError: It is neither a path nor an address of a kind that is known; or pyarrow
            is missing.
    """
    return ObjectFolder(url) if is_address(url) else LocalFolder(Path(url))


def address_of(url: Any) -> str:
    """Return the address of a data set, which stays the same if the process changes its folder.

    Args:
        url: What the caller passed: a path, or text such as `s3://bucket/folder`.

    Raises:
        ConfigurationError: It is neither.
    """
    if is_address(url):
        return str(url).rstrip("/")
    return str((local_path("url", url) or path_of("url", url)).absolute())


def write_json(store: Store, name: str, data: Any) -> None:
    """Write a file of JSON; an older one is replaced.

    Args:
        store: The data set.
        name: The file.
        data: Its data.

    Raises:
        OSError: It cannot be written.
    """
    store.write(name, BytesIO(json.dumps(data).encode()))


def read_json(store: Store, name: str) -> Any:
    """Return the data of a file of JSON; None if there is no file, or something else is in it.

    Args:
        store: The data set.
        name: The file.
    """
    try:
        return json.loads(b"".join(store.lines(name)))
    except (FileNotFoundError, ValueError):
        return None

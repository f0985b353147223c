"""Outputs in object stores: `s3://`, `gs://` and `abfs://`, by way of `pyarrow.fs`.

A file is written on this machine first, in a folder of its owner alone below the folder for
temporary files, and uploaded when it is whole. So an export to an object store resumes on the same
machine as one to a file does, and a reader sees the whole object, the older one, or none. An upload
has several pieces if it is large, and the store shows none of them before the last one is there.

An address has no key and no password, since it is shown and passed on: each store has its own
places for them, such as `AWS_ACCESS_KEY_ID`, `GOOGLE_APPLICATION_CREDENTIALS` or
`AZURE_CLIENT_SECRET`, or the role of the machine. Its options are those of Arrow that say where the
store is, such as `s3://bucket/sessions?region=eu-west-1`.

No store has a step that fails if the name is taken. That is looked at before anything is sent to
the API and again before the upload, so of two exports that begin together the later one can win.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from mmap import ACCESS_READ, mmap
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final
from urllib.parse import parse_qsl, urlsplit
from urllib.request import url2pathname

from attrs import evolve

from pinstripe._core.errors import ConfigurationError
from pinstripe.export._partial import Announce, Checkpoint, PartialFile

_ADDRESS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_SCHEMES: Final = ("s3", "gs", "abfs")

_OPTIONS: Final = {
    "region",
    "scheme",
    "endpoint_override",
    "tls_ca_file_path",
    "retry_limit_seconds",
    "blob_storage_authority",
    "dfs_storage_authority",
    "blob_storage_scheme",
    "dfs_storage_scheme",
    "enable_tls",
}
"""Options of an address, none of which is a secret."""

_PIECE: Final = 8 * 1024 * 1024
"""Bytes that are handed to Arrow at once; it keeps a few of them while it sends."""


def is_address(value: Any) -> bool:
    """Return whether a value is an address such as `s3://bucket/x`, not that of a local file."""
    found = _ADDRESS.match(value) if isinstance(value, str) else None
    return found is not None and found[1].lower() != "file"


def local_path(argument: str, value: Any) -> Path | None:
    """Return the path of an address such as `file:///srv/sessions`; None if it is something else.

    Args:
        argument: The name to give in the error.
        value: What the caller passed.

    Raises:
        ConfigurationError: The address is of another machine.
    """
    if not isinstance(value, str) or not value.lower().startswith("file://"):
        return None
    parts = urlsplit(value)
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise ConfigurationError(argument, "must be like file:///folder/name, with three slashes")
    return Path(url2pathname(parts.path))


def path_in(address: str) -> PurePosixPath:
    """Return the path in an address, whose ending can name a format."""
    return PurePosixPath(urlsplit(address).path)


def open_address(argument: str, address: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path in it.

    Args:
        argument: The name to give in errors.
        address: The address.

    Raises:
        ConfigurationError: It cannot be used, or pyarrow is missing.
    """
    check_address(argument, address)
    try:
        module = import_module("pyarrow.fs")
    except ImportError:
        problem = 'an object store needs pyarrow: pip install "pinstripe[parquet]"'
        raise ConfigurationError(argument, problem) from None
    try:
        system, path = module.FileSystem.from_uri(address)
    except ValueError:  # what Arrow says can repeat the address
        raise ConfigurationError(argument, "is no address that Arrow can read") from None
    return system, str(path).rstrip("/")


def check_address(argument: str, address: str) -> None:
    """Refuse an address of an unknown kind, or with something secret in it.

    Args:
        argument: The name to give in the error.
        address: The address.

    Raises:
        ConfigurationError: It is such an address.
    """
    parts = urlsplit(address)
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.fragment:
        known = ", ".join(f"{name}://" for name in ("file", *_SCHEMES))
        raise ConfigurationError(argument, f"must be a path or an address that begins with {known}")
    # In an address of Azure, the name of the container is where others have a user.
    if parts.password is not None or (parts.username is not None and parts.scheme != "abfs"):
        problem = "must hold no key or password: give them in the environment"
        raise ConfigurationError(argument, problem)
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _OPTIONS:
            problem = f"has an option that is none of: {', '.join(sorted(_OPTIONS))}"
            raise ConfigurationError(argument, problem)


class UploadedFile(PartialFile):
    """An output that is uploaded when it is whole.

    Args:
        system: The file system of Arrow.
        path: The path in it.
        announce: See `PartialFile`.

    Raises:
        OSError: The folder for temporary files cannot be used.
    """

    def __init__(self, system: Any, path: str, announce: Announce | None = None) -> None:
        self._folder = _private_folder(f"{system.type_name} {path}")
        self._system, self._remote = system, path
        super().__init__(self._folder / PurePosixPath(path).name, announce)

    def begin(self, source: str, *, resume: bool, overwrite: bool) -> Checkpoint:
        """See `PartialFile.begin`."""
        checkpoint = super().begin(source, resume=resume, overwrite=overwrite)
        if not checkpoint.overwrite:
            self._check_free()
        return checkpoint

    def release(self) -> None:
        """See `PartialFile.release`."""
        super().release()
        with suppress(OSError):  # an unfinished export, or another run, has files in it
            self._folder.rmdir()

    def _check_free(self) -> None:
        if size_of(self._system, self._remote) is not None:
            problem = "exists already: give another name, or overwrite"
            raise ConfigurationError("output", problem)

    def deliver(self, whole: Path, checkpoint: Checkpoint) -> None:
        if not checkpoint.overwrite:
            try:
                self._check_free()
            except ConfigurationError:
                name = os.strerror(errno.EEXIST)
                raise FileExistsError(errno.EEXIST, name, self._remote) from None
        # If the run is killed after the upload, the next one may replace its own object.
        self._write_checkpoint(evolve(checkpoint, overwrite=True))
        with whole.open("rb") as file:
            upload(self._system, file, self._remote)


def uploaded_file(address: str) -> UploadedFile:
    """Return the output at an address.

    Args:
        address: The address.

    Raises:
        ConfigurationError: It cannot be used, or pyarrow is missing.
        OSError: The folder for temporary files cannot be used.
    """
    return UploadedFile(*open_address("output", address))


class ObjectFolder:
    """A data set in an object store; see `Store`.

    Args:
        address: Its address.

    Raises:
        ConfigurationError: It cannot be used, or pyarrow is missing.
    """

    def __init__(self, address: str) -> None:
        self._system, self._root = open_address("url", address)

    def lines(self, name: str) -> Iterator[bytes]:
        """See `Store.lines`."""
        rest = b""
        with self._system.open_input_stream(f"{self._root}/{name}") as stream:
            while piece := stream.read(_PIECE):
                *lines, rest = (rest + piece).split(b"\n")
                yield from (line + b"\n" for line in lines)
        if rest:
            yield rest

    def size(self, name: str) -> int | None:
        """See `Store.size`."""
        return size_of(self._system, f"{self._root}/{name}")

    def write(self, name: str, data: IO[bytes]) -> None:
        """See `Store.write`."""
        with tempfile.TemporaryFile() as file:  # what is uploaded must be sure to be readable
            shutil.copyfileobj(data, file)
            file.seek(0)
            upload(self._system, file, f"{self._root}/{name}")

    def files(self, folder: str) -> dict[str, int]:
        """See `Store.files`."""
        selector = import_module("pyarrow.fs").FileSelector
        path = f"{self._root}/{folder}".rstrip("/")
        found = self._system.get_file_info(selector(path, allow_not_found=True))
        return {info.base_name: info.size for info in found if info.is_file}

    def output(self, name: str, announce: Announce) -> PartialFile:
        """See `Store.output`."""
        return UploadedFile(self._system, f"{self._root}/{name}", announce)


def size_of(system: Any, path: str) -> int | None:
    """Return the bytes of an object; None if there is none.

    Args:
        system: The file system of Arrow.
        path: The path in it.
    """
    info = system.get_file_info(path)
    return int(info.size) if info.is_file else None


def upload(system: Any, file: IO[bytes], path: str) -> None:
    """Upload a whole file; until this returns, readers see the older object or none.

    Args:
        system: The file system of Arrow.
        file: The file, of this machine.
        path: The path in the file system.

    Raises:
        OSError: The store refused it, or cannot be reached.
    """
    size = os.fstat(file.fileno()).st_size
    # Whatever ends the stream completes the object, also the end of a block after an error of ours.
    # So nothing but the stream itself may fail between its opening and its end: after an error of
    # its own it completes nothing. The content is read from a map of the file, which cannot fail.
    content = mmap(file.fileno(), size, access=ACCESS_READ) if size else b""
    stream = system.open_output_stream(path)
    for begin in range(0, size, _PIECE):
        stream.write(content[begin : begin + _PIECE])
    stream.close()
    if size_of(system, path) != size:
        raise OSError(errno.EIO, "the store does not have all bytes of the upload", path)


def _private_folder(place: str) -> Path:
    """Return a folder for one output, below a folder into which only its owner may look."""
    user = getattr(os, "getuid", lambda: None)()
    base = Path(tempfile.gettempdir()) / f"pinstripe-{'uploads' if user is None else user}"
    with suppress(FileExistsError):
        base.mkdir(mode=0o700)
    found = base.lstat()
    is_open = user is not None and (found.st_uid != user or found.st_mode & 0o077)
    if not stat.S_ISDIR(found.st_mode) or is_open:
        problem = "must be a folder into which only you may look: remove it"
        raise OSError(errno.EPERM, problem, str(base))
    folder = base / hashlib.sha256(place.encode()).hexdigest()[:32]
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder

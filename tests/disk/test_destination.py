"""Downloads to what is there already: links stay, pipes and devices are refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pinstripe._disk.destination import Destination
from tests.support.exported import names_in

pytestmark = pytest.mark.anyio


async def write(path: Path, *, overwrite: bool = True) -> Path:
    async with Destination(path, max_bytes=100, overwrite=overwrite) as sink:
        await sink.start()
        await sink.write(b"new")
        return await sink.commit()


@pytest.mark.parametrize("there", [False, True])
async def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path, there: bool) -> None:
    link, target = tmp_path / "link", tmp_path / "real" / "photo"
    target.parent.mkdir()
    link.symlink_to("real/photo")
    if there:
        target.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        await write(link, overwrite=False)
    assert await write(link) == link
    assert (link.is_symlink(), target.read_bytes()) == (True, b"new")
    assert [path.name for path in target.parent.iterdir()] == ["photo"]


async def test_a_pipe_or_a_device_is_not_replaced(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, Path("/dev/null"), Path("/dev/stdout")):
        with pytest.raises(OSError, match="neither a pipe nor a device"):
            await write(path)
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert names_in(tmp_path) == ["fifo"]

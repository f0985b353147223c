"""A PostgreSQL server of a test run, on a socket in a folder of its own, without durability."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

# What makes a server cheap that is thrown away: nothing it writes need outlive the machine.
OPTIONS = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off"]
SIZES = ["shared_buffers=16MB", "max_connections=60", "max_wal_size=256MB"]


@attrs.frozen
class Postgres:
    """A running server.

    Attributes:
        folder: The folder of its socket.
        pid: The process that it consists of, with its children.
    """

    folder: str
    pid: int

    def url(self, schema: str = "public") -> URL:
        """The address for SQLAlchemy, whose tables are in a schema."""
        query = {"host": self.folder, "options": f"-csearch_path={schema}"}
        return URL.create("postgresql+psycopg", username="tests", database="postgres", query=query)

    def django(self, schema: str = "public") -> dict[str, Any]:
        """The settings for Django."""
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": "tests",
            "HOST": self.folder,
            "OPTIONS": {"options": f"-c search_path={schema}"},
        }

    def run(self, statement: str) -> list[Any]:
        """Run a statement by itself, and return its rows."""
        engine = create_engine(self.url(), poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            result = connection.execute(text(statement))
            return list(result) if result.returns_rows else []

    def new_schema(self) -> str:
        """Make a schema that nobody else uses, and return its name."""
        name = f"s{uuid.uuid4().hex}"
        self.run(f"CREATE SCHEMA {name}")
        return name


def binaries() -> Path | None:
    """Where the programs of a server are: Debian has them in no path, a folder for each version."""
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return Path(found).resolve().parent if found else folders[-1].parent if folders else None


@contextmanager
def running(programs: Path) -> Iterator[Postgres]:
    """Run a server, which refuses to be root, and so is another user then."""
    user: dict[str, Any] = {}
    if os.getuid() == 0:
        known = {entry.pw_name for entry in pwd.getpwall()}
        user = {"user": "postgres" if "postgres" in known else "nobody", "extra_groups": []}
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as folder:
        if user:
            shutil.chown(folder, user["user"])
        data = f"{folder}/data"
        made = [programs / "initdb", "-D", data, "-U", "tests", "-E", "UTF8", "--locale=C"]
        subprocess.run(
            [*made, "--auth=trust", "--no-sync"],
            cwd="/",
            check=True,
            stdout=subprocess.DEVNULL,
            **user,
        )
        settings = [f"-c{setting}" for setting in [*OPTIONS, *SIZES]]
        places = ["-D", data, "-k", folder, "-c", "listen_addresses="]
        command = [programs / "postgres", *places, *settings]
        log: Any = {"stderr": subprocess.PIPE, "text": True, "cwd": "/"}
        with subprocess.Popen(command, **log, **user) as server:
            try:
                assert server.stderr is not None
                assert any("ready to accept connections" in line for line in server.stderr)
                # What it logs from now on would fill the pipe, and then stop it.
                server.stderr.close()
                yield Postgres(folder, server.pid)
            finally:
                server.send_signal(signal.SIGQUIT)  # at once, without a checkpoint

"""Exports in parts on a real Dask cluster of processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import pytest

import pinstripe
import pinstripe.dask
from pinstripe import ConfigurationError, IncompleteError
from pinstripe.export import Manifest, Plan
from pinstripe.sandbox import Sandbox
from tests.support import dask_settings
from tests.support.cli_process import GateClock, same_sandbox
from tests.support.parts import UNTIL, Platform

SESSIONS = 700


@pytest.fixture(scope="module")
def clock() -> GateClock:
    return GateClock(10**9)


@pytest.fixture(scope="module")
def sandbox(clock: GateClock) -> Iterator[Sandbox]:
    with same_sandbox(clock) as sandbox:
        sandbox.identity.seed(SESSIONS, interval=86_400)
        yield sandbox


@pytest.fixture(scope="module")
def cluster(sandbox: Sandbox) -> Iterator[distributed.LocalCluster]:
    env = {"WORKERS_OWN_KEY": sandbox.api_key, "WORKERS_OWN_URL": sandbox.url}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        patch.delenv("STRIPE_API_KEY", raising=False)
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster:
            yield cluster


def planned(sandbox: Sandbox, folder: Path, parts: int) -> Plan:
    with sandbox.sync_client() as client:
        sessions = client.identity.verification_sessions.list()
        return pinstripe.sync.plan(sessions, folder, parts=parts, format="jsonl")


def ids(folder: Path) -> list[str]:
    lines = (line for path in folder.glob("part-*") for line in path.read_text().splitlines())
    return [json.loads(line)["id"] for line in lines]


def test_a_worker_that_is_killed_loses_nothing(sandbox, clock, cluster, tmp_path) -> None:
    made = planned(sandbox, tmp_path, 6)
    ends: list[Manifest] = []

    def run() -> None:
        ends.append(pinstripe.dask.run(made, dask_settings.from_worker, scheduler=cluster))

    thread = threading.Thread(target=run)
    clock.hold_after(3)
    thread.start()
    assert clock.held.wait(60)
    pids = distributed_pids(cluster)
    os.kill(pids[0], signal.SIGKILL)
    clock.open()
    thread.join(120)
    (manifest,) = ends
    assert (manifest.rows, manifest.parts) == (SESSIONS, made.parts)
    assert len(ids(tmp_path)) == len(set(ids(tmp_path))) == SESSIONS
    # With the same plan again, and the client of the user: nothing is left to do.
    with distributed.Client(cluster, set_as_default=False) as dask:
        assert pinstripe.dask.run(made, dask_settings.from_worker, scheduler=dask) == manifest


def distributed_pids(cluster: Any) -> list[int]:
    with distributed.Client(cluster, set_as_default=False) as dask:
        return list(dask.run(os.getpid).values())


def test_keys_are_in_no_task_and_no_message(sandbox, cluster, tmp_path) -> None:
    made = planned(sandbox, tmp_path, 2)
    sandbox.faults.add(status=403, path="/v1/identity/verification_sessions")
    try:
        with pytest.raises(IncompleteError, match="2 parts of 2 are missing") as raised:
            pinstripe.dask.run(made, dask_settings.from_worker, scheduler=cluster)
    finally:
        sandbox.faults.clear()
    errors = raised.value.errors
    assert all(isinstance(error, pinstripe.PermissionDeniedError) for error in errors.values())
    with distributed.Client(cluster, set_as_default=False) as dask:
        logs = [*dask.get_scheduler_logs(), *dask.get_worker_logs().values(), *errors.values()]
    assert "pinstripe" in str(logs)  # the failed tasks are there
    assert sandbox.api_key not in str(logs)


def test_what_a_worker_lacks_is_named_before_anything_is_sent(sandbox, cluster, tmp_path) -> None:
    made = planned(sandbox, tmp_path, 1)
    worker = "scheduler: the worker tcp://.* says: "
    with pytest.raises(ConfigurationError, match=f"{worker}api_key: .*STRIPE_API_KEY"):
        pinstripe.dask.run(made, {"base_url": sandbox.url}, scheduler=cluster)
    with pytest.raises(ConfigurationError, match=f"{worker}api_key"):
        pinstripe.dask.run(made, dask_settings.nothing, scheduler=cluster)
    (tmp_path / "_pinstripe" / "dataset.json").unlink()
    with pytest.raises(ConfigurationError, match=f"{worker}part: there is no data set at its url"):
        pinstripe.dask.run(made, dask_settings.from_worker, scheduler=cluster)


def test_a_cluster_without_the_package(tmp_path) -> None:
    # A module of the same name that cannot be imported stands for a machine without it.
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "pinstripe.py").write_text("raise ModuleNotFoundError(name='pinstripe')")
    with distributed.LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as cluster:
        with pytest.raises(ConfigurationError, match="scheduler: has no workers"):
            pinstripe.dask.run(made_up(tmp_path), scheduler=cluster)
        command = [sys.executable, "-m", "distributed.cli.dask_worker", "--no-dashboard"]
        env = {**os.environ, "PYTHONPATH": str(broken)}
        with subprocess.Popen(
            [*command, "--no-nanny", cluster.scheduler_address],
            env=env,
            cwd=broken,
            stderr=subprocess.DEVNULL,
        ) as worker:
            try:
                with distributed.Client(cluster, set_as_default=False) as dask:
                    dask.wait_for_workers(1, timeout=60)
                    with pytest.raises(ConfigurationError, match="cannot import pinstripe: insta"):
                        pinstripe.dask.run(made_up(tmp_path), scheduler=dask)
            finally:
                worker.kill()


def made_up(folder: Path) -> Plan:
    with pinstripe.Client("sk_test_x", transport=Platform({None: 1})) as client:
        return pinstripe.sync.plan(client.events.list(), folder / "set", parts=1, until=UNTIL)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"api_key": "sk_test_secret"}, "cannot have api_key here, which may be secret"),
        ({"proxy": "http://u:sk_test_secret@h"}, "cannot have proxy here"),
        ("sk_test_secret", "must be a mapping, not a str"),
        (lambda: {"api_key": "sk_test_secret"}, "must be a function of a module"),
    ],
)
def test_settings_that_are_refused(settings, problem, tmp_path) -> None:
    with pytest.raises(ConfigurationError, match=f"client_settings: {problem}") as raised:
        pinstripe.dask.run(made_up(tmp_path), settings, scheduler="tcp://127.0.0.1:1")
    assert "sk_test_secret" not in str(raised.value)


def test_a_shared_budget_is_refused_since_its_address_can_have_a_password(tmp_path) -> None:
    class Shared:
        shared = "redis://:secret@host"

    with pytest.raises(ConfigurationError, match="cannot have the address of a shared budget"):
        pinstripe.dask.run(made_up(tmp_path), {"rate_limit": Shared()}, scheduler="x")


def test_a_scheduler_that_cannot_be_reached(tmp_path) -> None:
    for scheduler in ("nowhere", 7):
        with pytest.raises(ConfigurationError, match="scheduler: cannot be reached: "):
            pinstripe.dask.run(made_up(tmp_path), {}, scheduler=scheduler)


def test_without_dask(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigurationError, match=r'pip install "pinstripe\[dask\]"'):
        pinstripe.dask.run(made_up(tmp_path), {}, scheduler="x")

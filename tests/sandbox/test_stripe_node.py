"""The official Node SDK as a client: each kind of resource goes through its life.

The calls are in `stripe_node.cjs`. The tests need Node and the package `stripe` of npm where Node
finds it: after `npm install stripe` in some folder, set `NODE_PATH` to its `node_modules`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pinstripe.sandbox import Sandbox

NODE = shutil.which("node")
SCRIPT = Path(__file__).with_name("stripe_node.cjs")
SECONDS = 120


@pytest.fixture(scope="module")
def node() -> str:
    """Return the path of Node, which has the package `stripe`."""
    if NODE is None:
        pytest.skip("node is not installed")
    look = [NODE, "-e", "require.resolve('stripe')"]
    found = subprocess.run(look, check=False, capture_output=True, cwd=SCRIPT.parent)
    if found.returncode:
        pytest.skip("node has no package stripe: npm install stripe, and set NODE_PATH")
    return NODE


@pytest.mark.parametrize(
    "scenario",
    ["identity", "climate", "crypto", "files", "forwarding", "webhooks", "requests"],
)
def test_the_node_sdk_is_at_home(node: str, scenario: str) -> None:
    with Sandbox(accounts=["acct_known"]) as sandbox:
        done = subprocess.run(
            [node, str(SCRIPT), scenario],
            check=False,
            env={**os.environ, "SANDBOX_URL": sandbox.url},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    assert (done.returncode, done.stderr) == (0, "")

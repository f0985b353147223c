"""Whether the installed aiohttp is as `connection` needs it.

`connection` leans on names that aiohttp does not document. If a version of aiohttp renamed one,
some calls would fail; but worse, a pool that is no longer asked in the expected way would quietly
hand out connections on which bytes arrived that nobody asked for. So the first client of a process
tries out all that `connection` leans on, in an event loop that has no network. If anything is not
as expected, all calls of this process go over `session`, and a warning says why.
"""

from __future__ import annotations

import logging
import threading

import aiohttp

from pinstripe._http.routes import Connector

_log = logging.getLogger("pinstripe")
_lock = threading.Lock()
_chosen: list[type[Connector]] = []


def connector_class() -> type[Connector]:
    """Return the connector that the installed aiohttp allows.

    The first call of a process tries it out, in half a millisecond; it cannot be made where an
    event loop runs.
    """
    with _lock:
        if not _chosen:
            _chosen.append(_choose())
    return _chosen[0]


def _choose() -> type[Connector]:
    try:
        from pinstripe._http.connection import GuardedConnector  # noqa: PLC0415 -- can fail
        from pinstripe._http.trial import try_out  # noqa: PLC0415 -- as above

        problem = try_out()
        if problem is None:
            return GuardedConnector
    except Exception as error:  # noqa: BLE001 -- names that aiohttp does not promise
        problem = f"{type(error).__name__}: {error}"
    from pinstripe._http.session import SessionConnector  # noqa: PLC0415 -- seldom needed

    _log.warning(
        "aiohttp %s is not as this version of Pinstripe expects (%s). So calls go over its public"
        " session: they keep every guarantee, and take up to 1.6 times the CPU time",
        aiohttp.__version__,
        problem,
    )
    return SessionConnector

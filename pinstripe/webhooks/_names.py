"""The names of routers: two with one store need two, or each would take events from the other.

Only the routers of this process are known here. Routers of other processes may share the store and
the name, and should, if they receive for the same endpoint.
"""

from __future__ import annotations

import gc
import threading
from typing import Final, Protocol
from weakref import WeakSet

from pinstripe._core.errors import ConfigurationError
from pinstripe.webhooks._stores import Store


class Named(Protocol):
    """What a router is known by."""

    @property
    def name(self) -> str:
        """The name."""
        ...

    @property
    def store(self) -> Store:
        """The store."""
        ...


_routers: Final = WeakSet[Named]()
# Held while garbage is collected, which may run code that makes a router.
_lock: Final = threading.RLock()


def refuse_same_name(router: Named) -> None:
    """Remember a router as long as it lives, unless another one has its store and its name.

    Args:
        router: The router.

    Raises:
        ConfigurationError: Another one has both.
    """
    with _lock:
        if _is_taken(router):
            # Handlers often refer to their router: in such a circle it outlives its last use.
            gc.collect()
            if _is_taken(router):
                problem = "another router of this process has the same store and name, so each"
                raise ConfigurationError(
                    "name", f"{problem} would miss events of the other; give each a name of its own"
                )
        _routers.add(router)


def _is_taken(router: Named) -> bool:
    return any(other.name == router.name and other.store == router.store for other in _routers)

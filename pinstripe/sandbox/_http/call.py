"""One call of an endpoint of the sandbox, as its handler sees it."""

from __future__ import annotations

from typing import Final

import attrs

from pinstripe.sandbox._params.schema import Params
from pinstripe.sandbox._state.kinds import Expansion
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import Account, EventOrigin

_OWN: Final = EventOrigin()
"""The origin of what the sandbox does by itself."""


@attrs.frozen
class Call:
    """One call of an endpoint, as its handler sees it.

    Args:
        account: whose objects are meant.
        params: the checked parameters, without `expand`.
        ids: what stood in the placeholders of the path.
        asked: what `expand` asks for.
        origin: the request that causes the changes.
        path: the path of the request.
        restricted: whether the key is a restricted one.
    """

    account: Account
    params: Params
    ids: tuple[str, ...] = ()
    expand: Expansion = attrs.field(factory=dict[str, "Expansion"])
    origin: EventOrigin = _OWN
    path: str = ""
    restricted: bool = False

    def show(self, value: Json) -> Json:
        """Return a stored object as the answer of this call."""
        return self.account.render(value, self.expand)

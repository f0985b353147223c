"""One call of an endpoint of the sandbox, as its handler sees it."""

from __future__ import annotations

from attrs import field, frozen

from pinstripe.sandbox._params.schema import Params
from pinstripe.sandbox._state.kinds import Expansion
from pinstripe.sandbox._state.origin import NO_REQUEST, EventOrigin
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import Account


@frozen
class Call:
    """One call of an endpoint, as its handler sees it.

    Attributes:
        account: The account of the request.
        params: The checked parameters, without `expand`.
        ids: The values of the placeholders in the path.
        expand: The tree of what to expand.
        origin: The request that causes the changes.
        path: The path of the request.
        restricted: Whether the API key is a restricted one.
        html: Whether a browser asks, which shows a page rather than JSON.
    """

    account: Account
    params: Params
    ids: tuple[str, ...] = ()
    expand: Expansion = field(factory=dict[str, "Expansion"])
    origin: EventOrigin = NO_REQUEST
    path: str = ""
    restricted: bool = False
    html: bool = False

    def show(self, value: Json) -> Json:
        """Return a stored object as the answer of this call."""
        return self.account.render(value, self.expand)

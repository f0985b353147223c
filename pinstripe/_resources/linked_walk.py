"""Walks over lists of `/v2`: each answer links to the next page.

A link names a page, and no object. So a cursor has the query of a page and the id of an object in
it, or in a page after it: a walk that resumes there asks for the page, and skips what comes up to
the object. An object that is gone meanwhile ends the walk with an error, since nobody can say then
what was handed out before.

The order of these lists is not known, so none of them is cut into windows and walked in parallel,
and there is no walk to newer objects.

https://docs.stripe.com/api-v2-overview
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from attrs import evolve, field, frozen

from pinstripe._config.options import RequestOptions
from pinstripe._core.errors import ConfigurationError
from pinstripe._http.messages import Request
from pinstripe._models.page import LinkedPage, Page
from pinstripe._models.record import Identified
from pinstripe._resources.endpoint import Endpoint
from pinstripe._resources.params import check_params
from pinstripe._resources.unfit import AnyPage, MixedPage, rest_of
from pinstripe._resources.walk import Paging, Walk, check_range, unending_list_error

_L = TypeVar("_L", bound=Identified)

# The characters of a query; the length is our choice.
_QUERY: Final = r"[\x21\x24-\x7e]{0,4000}"
_CURSOR: Final = rf"page:([A-Za-z0-9_-]{{0,255}})\?({_QUERY})"


@frozen(kw_only=True, eq=False, repr=False)
class LinkedWalk(Walk[_L]):
    """The position of a walk over a list of `/v2`.

    Its `after_id` is the object up to which objects are skipped; None to skip none.

    Attributes:
        query: The query of the page, as an answer linked to it; empty for the first page.
        skipped: The queries of the pages that were skipped.
    """

    query: str = field(default="", repr=False)
    skipped: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def has_windows(self) -> bool:
        """See `Walk.has_windows`."""
        return False

    @property
    def origin(self) -> str | None:
        """See `Walk.origin`."""
        return self.query or None

    @property
    def cursor(self) -> str | None:
        """See `Walk.cursor`."""
        return self.cursor_behind(self.after_id or "") if self.after_id or self.query else None

    def cursor_behind(self, id: str) -> str:
        """See `Walk.cursor_behind`."""
        return f"page:{id}?{self.query}"

    def _request(self, limit: int) -> Request:
        # The filters and the size are those of the first page, so a link is followed as it is.
        if self.query:
            return evolve(self.endpoint.request({}, {}, self.options), query=self.query)
        return self.endpoint.request({**self.params, "limit": limit}, {}, self.options)

    def arrive(self, page: AnyPage[_L]) -> AnyPage[_L] | Walk[_L]:
        """See `Walk.arrive`.

        Raises:
            PaginationError: The object to resume behind is in no page.
        """
        if self.after_id is None:
            return page
        ids = [item.id for item in page.data]
        if self.after_id in ids:
            rest = rest_of(page, ids.index(self.after_id) + 1)
            return rest if rest.data else self.after(rest) or rest
        following = self.end_of(page)
        if following is None:
            problem = "the object to resume behind is not in it any more"
            raise unending_list_error(self, page, problem)
        if following == self.query or following in self.skipped:
            raise unending_list_error(self, page, "a page links to an earlier one")
        return evolve(self, query=following, skipped=self.skipped | {self.query})

    def end_of(self, page: AnyPage[_L]) -> str | None:
        """Return the query of the next page; None if there is none.

        Args:
            page: The answer to the request of this position.

        Raises:
            PaginationError: The link leads elsewhere.
        """
        envelope = page.envelope if isinstance(page, MixedPage) else page
        assert isinstance(envelope, LinkedPage)
        link = envelope.next_page_url
        if link is None:
            return None
        path, _, query = link.partition("?")
        if path != self.endpoint.template or not query or not re.fullmatch(_QUERY, query):
            raise unending_list_error(self, page, "the link to its next page leads elsewhere")
        return query

    def after(self, page: AnyPage[_L]) -> Walk[_L] | None:
        """See `Walk.after`."""
        items, query = self.items(page), self.end_of(page)
        remaining = None if self.remaining is None else self.remaining - len(items)
        if query is None or remaining == 0:
            return None
        return evolve(self, query=query, after_id=None, remaining=remaining)


def start_linked_walk(
    endpoint: Endpoint[Page[_L]],
    params: Mapping[str, Any],
    paging: Paging,
    options: RequestOptions | None,
) -> LinkedWalk[_L]:
    """Return the start of the walk that the arguments of a `list` call of `/v2` ask for.

    Args:
        endpoint: The list; its pages are `LinkedPage`s.
        params: Its filters.
        paging: Which part of the list to read; only a cursor can be its start.
        options: The options of each call.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    page_size, max_items = paging.sizes()
    id, query = ("", "") if paging.cursor is None else _parse_cursor(paging.cursor)
    filters = dict(params)
    created = check_range(filters.pop("created", None), "a Created")
    walk = LinkedWalk(
        endpoint=endpoint,
        params={**check_params(filters), "created": created},
        options=options,
        direction="starting_after",
        after_id=id or None,
        query=query,
        page_size=page_size,
        remaining=max_items,
    )
    # Also with a cursor, which has the filters of its page: what cannot be sent is refused.
    _ = endpoint.request(walk.params, {}, options)
    return walk


def _parse_cursor(cursor: str) -> tuple[str, str]:
    found = re.fullmatch(_CURSOR, cursor) if isinstance(cursor, str) else None
    if found is None:
        raise ConfigurationError("cursor", "must be a value of Pager.cursor of the same list")
    return found[1], found[2]

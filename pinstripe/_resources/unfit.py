"""Pages with objects that do not fit their class: they take no other object with them.

A page is decoded as a whole. Only if that fails at one of its objects is it read object by object,
into a `MixedPage`, which has an `Unfit` in the place of each that does not fit. So every object
keeps its place: a walk goes on behind it, and a parallel walk sees how far the page reaches. The
code that hands the objects out comes to the `Unfit`, and raises its error or reports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, cast, get_args, get_origin

import msgspec
from attrs import evolve, frozen

from pinstripe._core.checks import check_id
from pinstripe._core.errors import ConfigurationError, DecodeError, UnfitError
from pinstripe._http.messages import Request, Response
from pinstripe._models.convert import decode
from pinstripe._models.page import Page
from pinstripe._models.record import Identified, attach_response
from pinstripe._resources.endpoint import check_object, error_of_call, parse_response, response_of

_L = TypeVar("_L", bound=Identified)

OnUnfit: TypeAlias = Callable[[UnfitError], object]
"""Is called with the error of each object that a walk leaves out."""


@frozen(eq=False, repr=False)
class Unfit:
    """Stands in a page for an object that does not fit.

    Attributes:
        id: Its id; empty if it has none that can be read.
        created: When it was created; if that cannot be read, when its neighbour was.
        livemode: Its mode; None if that cannot be read.
        error: The error that names it.
    """

    id: str
    created: datetime | None
    livemode: bool | None
    error: UnfitError


@frozen(eq=False, repr=False)
class MixedPage(Generic[_L]):
    """A page with objects that do not fit.

    Attributes:
        data: The objects, with an `Unfit` in the place of each that does not fit.
        envelope: The page as it came, whose objects were not read.
        response: The response that it was read from.
    """

    data: tuple[_L, ...]
    envelope: Page[Any]
    response: Response

    @property
    def has_more(self) -> bool:
        """As of `Page`."""
        return self.envelope.has_more

    def page_of(self, ids: set[str]) -> Page[_L]:
        """Return the page with some of its objects only.

        Args:
            ids: The ids of these objects.
        """
        data = tuple(item for item in self.data if item.id in ids)
        envelope: Any = self.envelope
        page: Page[_L] = evolve(envelope, data=data)
        attach_response(self.response, page)
        return page


AnyPage: TypeAlias = Page[_L] | MixedPage[_L]
"""A page as walks see it."""


def parse_page(
    request: Request,
    response: Response,
    model: type[Page[_L]],
    cursor_of: Callable[[str], str | None],
) -> AnyPage[_L]:
    """Return the page that a response holds; a mixed one if some of its objects do not fit.

    Args:
        request: The request.
        response: A response with a status of success.
        model: The type of the page.
        cursor_of: Returns the cursor behind the object with an id.

    Raises:
        DecodeError: The page itself does not fit, or is not that of the request.
        UnfitError: An object does not fit, and without its id there is no way to the next page.
    """
    try:
        return parse_response(request, response, model)
    except DecodeError as error:
        problem = error
    if not problem.path.startswith("$.data["):
        raise problem
    form: Any = get_origin(model)
    envelope: Page[msgspec.Raw] = decode(response.body, form[msgspec.Raw])
    kind: type[_L] = get_args(model)[0]
    items: list[_L | Unfit] = [
        _read(bytes(raw), kind, index) for index, raw in enumerate(envelope.data)
    ]
    fitting = [item for item in items if not isinstance(item, Unfit)]
    for item in items:
        if isinstance(item, Unfit):
            item.error.items = fitting
            item.error.cursor = cursor_of(item.id) if item.id else None
            error_of_call(item.error, request, response)
    last = items[-1]
    if isinstance(last, Unfit) and envelope.has_more and not last.id:
        raise last.error
    data = cast("tuple[_L, ...]", tuple(_with_times(items)))
    try:
        check_object(Page(data=data, has_more=True), request, response)
    except DecodeError as error:
        problem = error_of_call(error, request, response)
    else:
        return MixedPage(data, envelope, response)
    raise problem


def attach_to_page(page: AnyPage[_L], response: Response) -> AnyPage[_L]:
    """Return a page that has, like its objects, the response that they came from.

    Args:
        page: The page.
        response: The response.
    """
    if isinstance(page, MixedPage):
        fitting = [item for item in page.data if not isinstance(item, Unfit)]
        attach_response(response, *fitting)
        return evolve(page, response=response)
    attach_response(response, page, *page.data)
    return page


def rest_of(page: AnyPage[_L], start: int) -> AnyPage[_L]:
    """Return a page without its first objects.

    Args:
        page: The page, as `attach_to_page` returned it.
        start: How many objects to leave out.
    """
    if isinstance(page, MixedPage):
        return evolve(page, data=page.data[start:])
    whole: Any = page
    rest: Page[_L] = evolve(whole, data=page.data[start:])
    attach_response(response_of(page), rest)
    return rest


def _read(body: bytes, kind: type[_L], index: int) -> _L | Unfit:
    """Return an object of a page, or what stands for it if it does not fit."""
    try:
        return decode(body, kind)
    except DecodeError as error:
        message, path = error.message, error.path
    plain = msgspec.json.decode(body)
    facts: dict[str, Any] = cast("dict[str, Any]", plain) if isinstance(plain, dict) else {}
    id, created, livemode = "", None, facts.get("livemode")
    with suppress(ConfigurationError):
        id = check_id("id", facts.get("id"))
    with suppress(msgspec.ValidationError):
        created = msgspec.convert(facts.get("created"), datetime, strict=False)
    # The message ends with the path within the object.
    place = f"$.data[{index}]{path[1:]}"
    problem = UnfitError(f"{message.removesuffix(path)}{place} ({id or 'it has no id'})")
    problem.id, problem.index, problem.path = id or None, index, place
    return Unfit(id, created, livemode if isinstance(livemode, bool) else None, problem)


def _with_times(items: list[_L | Unfit]) -> Iterator[_L | Unfit]:
    """Yield the objects of a page; those without a time get that of the one before, or behind."""
    times = (getattr(item, "created", None) for item in items)
    latest = next((time for time in times if time is not None), None)
    for item in items:
        latest = getattr(item, "created", None) or latest
        yield evolve(item, created=latest) if isinstance(item, Unfit) else item


class Position(Protocol):
    """How far the objects of a walk were handed out.

    Attributes:
        last: The id of the last one.
    """

    last: str | None


def take_items(
    walk: Position, step: tuple[AnyPage[_L], Sequence[_L]], on_unfit: OnUnfit | None
) -> Iterable[_L]:
    """Return the objects to hand out of a page.

    Args:
        walk: Is moved behind each object that is left out.
        step: The page, and its objects in the order of the walk.
        on_unfit: Is called for each object that is left out; None if its error is raised.

    Raises:
        UnfitError: An object does not fit; those before it were yielded.
    """
    page, items = step
    return _fitting_items(walk, items, on_unfit) if isinstance(page, MixedPage) else items


def take_pages(
    walk: Position, step: tuple[AnyPage[_L], Sequence[_L]], on_unfit: OnUnfit | None
) -> Iterable[Page[_L]]:
    """Return the page to hand out, without the objects that do not fit.

    Args:
        walk: Is moved behind the objects of the page.
        step: As for `take_items`.
        on_unfit: As for `take_items`.

    Raises:
        UnfitError: An object does not fit; a page of those before it was yielded.
    """
    page, items = step
    if isinstance(page, MixedPage):
        return _fitting_pages(walk, page, items, on_unfit)
    walk.last = items[-1].id if items else walk.last
    return (page,)


def _fitting_items(walk: Position, items: Sequence[_L], on_unfit: OnUnfit | None) -> Iterator[_L]:
    for item in items:
        if not isinstance(item, Unfit):
            yield item
        elif on_unfit is None:
            raise item.error
        else:
            on_unfit(item.error)
            walk.last = item.id or walk.last


def _fitting_pages(
    walk: Position, page: MixedPage[_L], items: Sequence[_L], on_unfit: OnUnfit | None
) -> Iterator[Page[_L]]:
    kept: set[str] = set()
    problem: UnfitError | None = None
    try:
        for item in _fitting_items(walk, items, on_unfit):
            walk.last = item.id
            kept.add(item.id)
    except UnfitError as error:
        problem = error
    if kept or problem is None:
        yield page.page_of(kept)
    if problem is not None:
        raise problem

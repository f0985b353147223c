"""The lists of `/v2`: pages that link to the pages beside them.

The token of a page says where it begins, and has the parameters of the first page: whoever follows
a link sends nothing else.

Choices of the sandbox, because the published facts are silent: a page has 10 objects by default,
newest first; a token stands alone; one that no link had, or whose object is gone, is a 400.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Final, TypeAlias, cast

import msgspec
from attrs import evolve

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.lists import DEFAULT_LIMIT
from pinstripe.sandbox._params.errors import Refusal, invalid
from pinstripe.sandbox._params.forms import Form
from pinstripe.sandbox._params.schema import STRING, Integer, Object, Params, Spec
from pinstripe.sandbox._state.table import Json, Query

PAGE_PARAMS: Final[dict[str, Spec]] = {"limit": Integer(1, 100, clamp=True), "page": STRING}

Show: TypeAlias = Callable[[Json, Params], Json]


class _Token(msgspec.Struct, omit_defaults=True):
    """Where a page begins, and the parameters of the first page."""

    params: dict[str, str | list[str] | dict[str, str]]
    after: str | None = None
    before: str | None = None


def show_page(
    call: Call, schema: Object, kind: str, query_of: Callable[[Params], Query], show: Show
) -> Json:
    """Return the page that a call asks for.

    Args:
        call: The call.
        schema: The parameters of the list.
        kind: The kind of its objects.
        query_of: Returns the filters, from the parameters.
        show: Returns an object as the list shows it, from the object and the parameters.

    Raises:
        Refusal: 400, for a token that cannot be used.
    """
    token = _token_of(call.params)
    # The parameters in a token are read like any others: a token is what a client sends.
    params = schema.read_form(cast("Form", token.params))
    found = call.account.tables[kind].find(
        evolve(
            query_of(params),
            limit=params.get("limit", DEFAULT_LIMIT),
            starting_after=token.after,
            ending_before=token.before,
        )
    )
    if found is None:
        raise _bad_token()
    data = [show(value, params) for value in found.objects]
    first, last = (found.objects[0]["id"], found.objects[-1]["id"]) if data else (None, None)
    # On the side from which a link led here there is a page; on the other, if there is more.
    is_next = token.before is not None or found.has_more
    is_previous = token.after is not None or (token.before is not None and found.has_more)
    after, before = _Token(token.params, after=last), _Token(token.params, before=first)
    return {
        "data": data,
        "next_page_url": _link(call, after) if is_next and data else None,
        "previous_page_url": _link(call, before) if is_previous and data else None,
    }


def _token_of(params: Params) -> _Token:
    """Return the token that a call has sent, or that of the first page."""
    if "page" not in params:
        texts = {name: str(value) for name, value in params.items() if isinstance(value, int)}
        return _Token({**params, **texts})
    if len(params) > 1:
        raise invalid("A page has the parameters of its list, so page stands alone.", "page")
    try:
        text: str = params["page"]
        padded = text + "=" * (-len(text) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_Token)
    except (msgspec.DecodeError, binascii.Error, ValueError):
        raise _bad_token() from None


def _link(call: Call, token: _Token) -> str:
    text = base64.urlsafe_b64encode(msgspec.json.encode(token)).decode().rstrip("=")
    return f"{call.path}?page={text}"


def _bad_token() -> Refusal:
    return invalid("Invalid page: no link of this list leads there.", "page")

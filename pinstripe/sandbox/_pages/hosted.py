"""What the hosted pages share: finding a session by its token, and short pages that end a visit.

A hosted page has two addresses. The API gives out one, with a token, and a person opens it; no
other site may show it in a frame. `stripe.js` opens the other one, with the client secret in place
of the token, in a frame on a page of the shop. The token alone says which account the session
belongs to, since a browser sends neither a key nor the account header.

A page in a frame says to the page around it what happened: `framed.js` hands over the `says` of a
template.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, frozen

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.routes import Content
from pinstripe.sandbox._pages.rendering import render
from pinstripe.sandbox._params.errors import Refusal
from pinstripe.sandbox._params.forms import Tree
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import Account, World


@frozen
class Unread:
    """A parameter of a page, which its handler reads: then a wrong one is a page, and no JSON."""

    def read(self, raw: Tree, path: str) -> Tree:
        """Return the node of the form as it is."""
        return raw


@define
class Notice(Exception):
    """A short page in place of the one that was asked for.

    Args:
        title: What happened.
        text: What the person can do.
        code: The code that `stripe.js` gives to the shop when the person closes the page.
        status: The HTTP status.
        back: The address of the shop, None if it is not known.
    """

    title: str
    text: str
    code: str
    status: int = 200
    back: str | None = None


def hosted(handler: Callable[[Call], Content]) -> Callable[[Call], Content]:
    """Return a handler that answers a notice or a refusal with a page.

    Args:
        handler: A handler; the first placeholder of its path is a token.
    """

    def handle(call: Call) -> Content:
        try:
            return handler(call)
        except Notice as raised:
            notice = raised
        except Refusal as refusal:
            code = refusal.code or "invalid_request"
            notice = Notice("That did not work", refusal.message, code, refusal.status)
        return ending(call, notice, says={"closing": modal_error(notice.code, notice.text)})

    return handle


def ending(call: Call, notice: Notice, *, says: Json, go: str | None = None) -> Content:
    """Return a page that ends a visit.

    Args:
        call: The call.
        notice: What the page says.
        says: What the page says to the one around it, if it is in a frame.
        go: The address to which the browser goes by itself.
    """
    return show(call, "ending.html", status=notice.status, notice=notice, says=says, go=go)


def show(call: Call, template: str, *, says: Json, status: int = 200, **values: Any) -> Content:
    """Return a hosted page, which may be in a frame if it was opened with a client secret.

    Args:
        call: The call.
        template: The name of a file in `templates`.
        says: What the page says to the one around it, if it is in a frame.
        status: The HTTP status.
        values: What the template fills in.
    """
    framed = in_frame(call)
    return render(
        template, status=status, framed=framed, in_frame=framed, says=says, path=call.path, **values
    )


def in_frame(call: Call) -> bool:
    """Return whether a page was opened with a client secret, as `stripe.js` does in its frame."""
    return "_secret_" in call.ids[0]


def find(world: World, kind: str, id: str) -> tuple[Account, Json] | None:
    """Return a session and its account, in the state that it has now; None if no account has it.

    Args:
        world: The sandbox.
        kind: The name of the kind of the session.
        id: The id of the session.
    """
    for account in world.accounts():
        if id in account.tables[kind]:
            account.run_due()
            return account, account.get(kind, id)
    return None


def modal_error(code: str, message: str) -> Json:
    """Return an error as `stripe.js` gives it to the shop.

    Args:
        code: The code.
        message: The text for the person.
    """
    return {"code": code, "message": message, "type": "invalid_request_error"}


def no_such_page() -> Notice:
    """Return the page for a token that belongs to no session."""
    text = "The link is not complete, or it belongs to another sandbox. Ask the site for a new one."
    return Notice("This link is not valid", text, "resource_missing", 404)

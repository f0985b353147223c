"""Tokens of forms: a page of another site cannot know them, so it cannot submit a form of ours.

A token is a MAC over the path that the form is sent to, by a secret that this run of the sandbox
has drawn. So it needs no session and no cookie.
"""

from __future__ import annotations

import hashlib
import hmac

from pinstripe.sandbox._params.errors import Refusal
from pinstripe.sandbox._state.world import World


def form_token(world: World, path: str) -> str:
    """Return the token of a form.

    Args:
        world: The sandbox.
        path: The path that the form is sent to.
    """
    return hmac.new(world.form_secret, path.encode(), hashlib.sha256).hexdigest()


def check_form_token(world: World, path: str, token: str) -> None:
    """Refuse a form with another token.

    Args:
        world: The sandbox.
        path: The path that the form was sent to.
        token: The token that came with it.

    Raises:
        Refusal: 403.
    """
    if not hmac.compare_digest(form_token(world, path).encode(), token.encode()):
        text = "This form is out of date; load the page again."
        raise Refusal(text, status=403, code="form_token_invalid")

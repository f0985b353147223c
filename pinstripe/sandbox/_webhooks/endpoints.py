"""Webhook endpoints as the API offers them, and which of them receive an event.

The secret and `connect` are stored with an endpoint and never shown, except the secret in the
answer that creates it. Choices where the published facts are silent:

- an address is `https`, or `http` on loopback or a host that the sandbox may call; any other is a
  400 `url_invalid`;
- a 17th endpoint is a 400 without a code; a disabled endpoint counts, a deleted one does not;
- an unknown `api_version`, and a type in `enabled_events` that does not exist, is a 400 without a
  code; the message lists all types, as the API's does;
- an event goes to the endpoints of its own account. The events of connected accounts also go to the
  `connect` endpoints of the account that the key belongs to;
- there is no event for creating, changing or deleting an endpoint.
"""

from __future__ import annotations

from typing import Final

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.lists import list_objects
from pinstripe.sandbox._http.outbound import may_call, read_url
from pinstripe.sandbox._http.routes import LIST_PARAMS, NO_PARAMS, Route
from pinstripe.sandbox._params.errors import invalid
from pinstripe.sandbox._params.schema import BOOLEAN, METADATA, STRING, Array, Object, String, Word
from pinstripe.sandbox._state.event_types import ENABLED_EVENTS, wants
from pinstripe.sandbox._state.kinds import Field, Kind
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.versions import version_problem
from pinstripe.sandbox._state.world import Account

ENDPOINT: Final = "webhook_endpoint"
MAX_ENDPOINTS: Final = 16

_SECRET_LENGTH = 32

KINDS: Final = (
    Kind(
        ENDPOINT,
        "we_",
        {"connect": Field(private=True), "secret": Field(private=True)},
        indexes={"status": lambda value: value["status"]},
    ),
)


_EVENTS: Final = Array(Word(ENABLED_EVENTS), max_items=500)
_DESCRIPTION: Final = String(clearable=True)
_CREATE: Final = Object(
    {
        "url": STRING,
        "enabled_events": _EVENTS,
        "api_version": String(check=version_problem),
        "connect": BOOLEAN,
        "description": _DESCRIPTION,
        "metadata": METADATA,
    },
    required=("url", "enabled_events"),
)
_UPDATE: Final = Object(
    {
        "url": STRING,
        "enabled_events": _EVENTS,
        "disabled": BOOLEAN,
        "description": _DESCRIPTION,
        "metadata": METADATA,
    }
)
_LIST: Final = Object({name: spec for name, spec in LIST_PARAMS.items() if name != "created"})


def receivers(account: Account, type: str) -> list[tuple[Account, Json]]:
    """Return the endpoints that receive an event, each with the account that it belongs to.

    Args:
        account: The account of the event.
        type: The type of the event.
    """
    found = [(account, value) for value in _enabled(account) if not value["connect"]]
    # The account of the key is the platform of all connected accounts.
    platform = account.world.find_account()
    if account is not platform and platform is not None:
        found += [(platform, value) for value in _enabled(platform) if value["connect"]]
    return [(owner, value) for owner, value in found if wants(value["enabled_events"], type)]


def _enabled(account: Account) -> list[Json]:
    return account.tables[ENDPOINT].find_by("status", "enabled")


def _create(call: Call) -> Json:
    account, params, url = call.account, call.params, _url(call)
    if len(account.tables[ENDPOINT]) >= MAX_ENDPOINTS:
        raise invalid(f"An account can have at most {MAX_ENDPOINTS} webhook endpoints.")
    value = account.put(
        {
            "id": account.new_id(ENDPOINT),
            "object": ENDPOINT,
            "api_version": params.get("api_version"),
            "application": None,
            "connect": params.get("connect", False),
            "created": account.timestamp(),
            "description": params.get("description") or None,
            "enabled_events": params["enabled_events"],
            "livemode": False,
            "metadata": METADATA.merge({}, params.get("metadata")),
            "secret": "whsec_" + account.random_text(_SECRET_LENGTH),
            "status": "enabled",
            "url": url,
        }
    )
    # This answer is the only one that shows the secret.
    return {**call.show(value), "secret": value["secret"]}


def _update(call: Call) -> Json:
    value, params = _endpoint(call), call.params
    changed = {**value, "enabled_events": params.get("enabled_events", value["enabled_events"])}
    if "url" in params:
        changed["url"] = _url(call)
    if "disabled" in params:
        changed["status"] = "disabled" if params["disabled"] else "enabled"
    if "description" in params:
        changed["description"] = params["description"] or None
    if "metadata" in params:
        changed["metadata"] = METADATA.merge(value["metadata"], params["metadata"])
    return call.show(call.account.put(changed))


def _retrieve(call: Call) -> Json:
    return call.show(_endpoint(call))


def _delete(call: Call) -> Json:
    value = _endpoint(call)
    call.account.remove(value)
    return {"id": value["id"], "object": ENDPOINT, "deleted": True}


def _list(call: Call) -> Json:
    return list_objects(call, ENDPOINT)


def _endpoint(call: Call) -> Json:
    return call.account.get(ENDPOINT, call.ids[0], "webhook_endpoint")


def _url(call: Call) -> str:
    text: str = call.params["url"]
    url = read_url(text)
    if url is None:
        raise invalid(
            "Invalid URL: must be an absolute http or https address.", "url", "url_invalid"
        )
    if url.scheme != "https" and not may_call(url, call.account.settings.allow_hosts):
        problem = "Invalid URL: http is only accepted for this machine and allowed hosts."
        raise invalid(problem, "url", "url_invalid")
    return text


_ONE: Final = "/v1/webhook_endpoints/{webhook_endpoint}"

ROUTES: Final = (
    Route("POST", "/v1/webhook_endpoints", _create, _CREATE, ENDPOINT),
    Route("GET", "/v1/webhook_endpoints", _list, _LIST, ENDPOINT, listed=True),
    Route("GET", _ONE, _retrieve, kind=ENDPOINT),
    Route("POST", _ONE, _update, _UPDATE, ENDPOINT),
    Route("DELETE", _ONE, _delete, NO_PARAMS),
)

"""Event destinations as the API offers them, and which of them receive an event.

Only a destination of the type `webhook_endpoint` is reached: an event source at Amazon stays
pending, and a partner topic at Azure is never activated. The address and the secret are stored with
a destination, and shown where `include` asks for them.

Choices where the published facts are silent:

- a call that gives the place of another type, or none of its own, is refused with a 400;
- a type in `enabled_events` has to be one of version 1 for snapshots, and to begin with `v1.` or
  `v2.` for thin events: which of those exist is not published, and there is no `*`;
- `metadata` removes a key for an empty text, as for null;
- an event goes to the destinations of its own account that ask for `@self`. The events of connected
  accounts also go to those of the account of the key that ask for `@accounts`; an organization has
  no members here;
- a ping is always thin, and goes to its destination alone, unless that is disabled;
- the limit of destinations is apart from that of webhook endpoints.
"""

from __future__ import annotations

from typing import Final

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.outbound import read_url
from pinstripe.sandbox._http.routes import NO_PARAMS, Route
from pinstripe.sandbox._params.errors import invalid
from pinstripe.sandbox._params.schema import METADATA, STRING, Array, Object, Params, String, Word
from pinstripe.sandbox._state.event_types import ENABLED_EVENTS, wants
from pinstripe.sandbox._state.kinds import Field, Kind
from pinstripe.sandbox._state.table import Json, Query
from pinstripe.sandbox._state.versions import API_VERSION, version_problem
from pinstripe.sandbox._state.world import Account
from pinstripe.sandbox._v2.pages import PAGE_PARAMS, show_page
from pinstripe.sandbox._v2.refusals import not_found, quota_exceeded
from pinstripe.sandbox._v2.thin import PING, TYPES, thin_event
from pinstripe.sandbox._v2.times import shown

DESTINATION: Final = "v2.core.event_destination"
MAX_DESTINATIONS: Final = 16
MAX_VERSIONS: Final = 3
_SECRET_LENGTH: Final = 32
_WEBHOOK: Final = "webhook_endpoint"

_HIDDEN: Final = ("own_version", "secret", "url")
"""What an answer shows only if it is asked for, or never."""

KINDS: Final = (
    Kind(
        DESTINATION,
        "ed_test_",
        {name: Field(private=True) for name in _HIDDEN},
        indexes={"status": lambda value: value["status"]},
    ),
)


_PLACES: Final = {
    _WEBHOOK: Object({"url": STRING}, required=("url",)),
    "amazon_eventbridge": Object(
        {"aws_account_id": STRING, "aws_region": STRING}, required=("aws_account_id", "aws_region")
    ),
    "azure_event_grid": Object(
        dict.fromkeys(
            ("azure_region", "azure_resource_group_name", "azure_subscription_id"), STRING
        ),
        required=("azure_region", "azure_resource_group_name", "azure_subscription_id"),
    ),
}
_SHOWN: Final = Array(Word(("webhook_endpoint.url",)))
_EVENTS: Final = Array(STRING, max_items=500)
_CREATE: Final = Object(
    {
        "name": STRING,
        "type": Word(tuple(_PLACES)),
        "event_payload": Word(("snapshot", "thin")),
        "enabled_events": _EVENTS,
        "description": String(clearable=True),
        "events_from": Array(
            Word(
                (
                    *("@self", "@accounts"),
                    *("@organization_members", "@organization_members/@accounts"),
                )
            )
        ),
        "include": Array(Word(("webhook_endpoint.signing_secret", "webhook_endpoint.url"))),
        "metadata": METADATA,
        "snapshot_api_version": String(check=version_problem),
        **_PLACES,
    },
    required=("name", "type", "event_payload", "enabled_events"),
)
_UPDATE: Final = Object(
    {
        "description": String(clearable=True),
        "enabled_events": _EVENTS,
        "include": _SHOWN,
        "metadata": METADATA,
        "name": STRING,
        _WEBHOOK: _PLACES[_WEBHOOK],
    }
)
_RETRIEVE: Final = Object({"include": _SHOWN})
_LIST: Final = Object({**PAGE_PARAMS, "include": _SHOWN})


def receivers(account: Account, event: Json) -> list[tuple[Account, Json]]:
    """Return the destinations that receive an event, each with the account that it belongs to.

    Args:
        account: The account of the event.
        event: The event, as it is stored.
    """
    found = [(account, value) for value in _reachable(account)]
    if event["type"] == PING:
        id = event["data"]["object"]["id"]
        return [(owner, value) for owner, value in found if value["id"] == id]
    found = [(owner, value) for owner, value in found if "@self" in value["events_from"]]
    platform = account.world.find_account()
    if account is not platform and platform is not None:
        connected = (one for one in _reachable(platform) if "@accounts" in one["events_from"])
        found += [(platform, value) for value in connected]
    return [(owner, value) for owner, value in found if _asks_for(value, event["type"])]


def is_thin(destination: Json, event: Json) -> bool:
    """Return whether a receiver gets an event without its object.

    Args:
        destination: The destination, or a webhook endpoint of version 1.
        event: The event.
    """
    return destination.get("event_payload") == "thin" or event["type"] == PING


def _reachable(account: Account) -> list[Json]:
    enabled = account.tables[DESTINATION].find_by("status", "enabled")
    return [value for value in enabled if value["type"] == _WEBHOOK]


def _asks_for(destination: Json, type: str) -> bool:
    if destination["event_payload"] == "thin":
        return TYPES.get(type) in destination["enabled_events"]
    return wants(destination["enabled_events"], type)


def _create(call: Call) -> Json:
    account, params = call.account, call.params
    kind, thin = params["type"], params["event_payload"] == "thin"
    for name in _PLACES:
        if name != kind and name in params:
            raise invalid(f"A destination of the type {kind} has no {name}.", name)
    if kind not in params:
        raise invalid(f"Missing required param: {kind}.", kind, "parameter_missing")
    _check_events(params["enabled_events"], thin=thin)
    version = params.get("snapshot_api_version")
    if thin and version is not None:
        raise invalid("Thin events have no version.", "snapshot_api_version")
    _check_quota(account, own_version=version is not None)
    id, now = account.new_id(DESTINATION), account.timestamp()
    value: Json = {
        "id": id,
        "object": DESTINATION,
        "created": now,
        "description": params.get("description", ""),
        "enabled_events": params["enabled_events"],
        "event_payload": params["event_payload"],
        "events_from": params.get("events_from", ["@self"]),
        "livemode": False,
        "metadata": METADATA.merge({}, params.get("metadata")),
        "name": params["name"],
        "own_version": version is not None,
        "snapshot_api_version": None if thin else version or API_VERSION,
        "status": "enabled",
        "status_details": None,
        "type": kind,
        "updated": now,
        **_place(account, kind, params[kind], id),
    }
    return _shown(account.put(value), params)


def _check_quota(account: Account, *, own_version: bool) -> None:
    table = account.tables[DESTINATION]
    if len(table) >= MAX_DESTINATIONS:
        raise quota_exceeded(f"An account can have at most {MAX_DESTINATIONS} event destinations.")
    if own_version:
        held = table.find(Query(MAX_DESTINATIONS, matches=lambda value: value["own_version"]))
        if held is not None and len(held.objects) >= MAX_VERSIONS:
            problem = f"At most {MAX_VERSIONS} event destinations can have a version of their own."
            raise quota_exceeded(problem)


def _place(account: Account, kind: str, given: Params, id: str) -> Json:
    """Return the fields that say where a destination is."""
    if kind == _WEBHOOK:
        secret = "whsec_" + account.random_text(_SECRET_LENGTH)
        return {"secret": secret, "url": _url(given)}
    if kind == "azure_event_grid":
        topic = {"azure_partner_topic_name": id, "azure_partner_topic_status": "never_activated"}
        return {kind: {**given, **topic}}
    source_of = f"arn:aws:events:{given['aws_region']}::event-source"
    source = {
        "aws_account_id": given["aws_account_id"],
        "aws_event_source_arn": f"{source_of}/aws.partner/stripe.com/{id}",
        "aws_event_source_status": "pending",
    }
    return {kind: source}


def _check_events(names: list[str], *, thin: bool) -> None:
    for index, name in enumerate(names):
        where = f"enabled_events[{index}]"
        if thin and not name.startswith(("v1.", "v2.")):
            raise invalid(f"Invalid {where}: a thin event begins with v1. or v2.", where)
        if not thin and name not in ENABLED_EVENTS:
            raise invalid(f"Invalid {where}: there is no such event of version 1.", where)


def _url(given: Params) -> str:
    text: str = given["url"]
    if read_url(text) is None:
        problem = "Invalid URL: must be an absolute http or https address."
        raise invalid(problem, "webhook_endpoint[url]", "url_invalid")
    return text


def _shown(value: Json, params: Params) -> Json:
    """Return a destination as an answer shows it.

    Args:
        value: The destination, as it is stored.
        params: The parameters of the call, of which `include` is read.
    """
    asked = params.get("include", ())
    shown_value = {name: field for name, field in value.items() if name not in _HIDDEN}
    shown_value |= {name: shown(value[name]) for name in ("created", "updated")}
    webhook: Json | None = None
    if value["type"] == _WEBHOOK:
        secret = value["secret"] if "webhook_endpoint.signing_secret" in asked else None
        url = value["url"] if "webhook_endpoint.url" in asked else None
        webhook = {"signing_secret": secret, "url": url}
    return {**shown_value, _WEBHOOK: webhook}


def _destination(call: Call) -> Json:
    value = call.account.tables[DESTINATION].get(call.ids[0])
    if value is None:
        raise not_found(DESTINATION, call.ids[0])
    return value


def _retrieve(call: Call) -> Json:
    return _shown(_destination(call), call.params)


def _update(call: Call) -> Json:
    value, params = _destination(call), call.params
    if "enabled_events" in params:
        _check_events(params["enabled_events"], thin=value["event_payload"] == "thin")
    names = ("description", "enabled_events", "name")
    changed = {**value, **{name: params[name] for name in names if name in params}}
    if "metadata" in params:
        changed["metadata"] = METADATA.merge(value["metadata"], params["metadata"])
    if _WEBHOOK in params:
        if value["type"] != _WEBHOOK:
            raise invalid(f"A destination of the type {value['type']} has no address.", _WEBHOOK)
        changed["url"] = _url(params[_WEBHOOK])
    return _shown(_touched(call, changed), params)


def _touched(call: Call, value: Json) -> Json:
    return call.account.put({**value, "updated": call.account.timestamp()})


def _list(call: Call) -> Json:
    return show_page(call, _LIST, DESTINATION, lambda _: Query(), _shown)


def _delete(call: Call) -> Json:
    value = _destination(call)
    call.account.remove(value)
    return {"id": value["id"], "object": DESTINATION}


def _disable(call: Call) -> Json:
    details = {"disabled": {"reason": "user"}}
    changed = {**_destination(call), "status": "disabled", "status_details": details}
    return _shown(_touched(call, changed), {})


def _enable(call: Call) -> Json:
    changed = {**_destination(call), "status": "enabled", "status_details": None}
    return _shown(_touched(call, changed), {})


def _ping(call: Call) -> Json:
    return thin_event(call.account.emit(PING, _destination(call), call.origin))


_ALL: Final = "/v2/core/event_destinations"
_ONE: Final = f"{_ALL}/{{id}}"

ROUTES: Final = (
    Route("POST", _ALL, _create, _CREATE),
    Route("GET", _ALL, _list, _LIST),
    Route("GET", _ONE, _retrieve, _RETRIEVE),
    Route("POST", _ONE, _update, _UPDATE),
    Route("DELETE", _ONE, _delete, NO_PARAMS),
    Route("POST", f"{_ONE}/disable", _disable),
    Route("POST", f"{_ONE}/enable", _enable),
    Route("POST", f"{_ONE}/ping", _ping),
)

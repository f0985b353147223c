"""Files and file links as the API offers them: uploads, contents, links with and without end.

Choices where the published facts are silent:

- a file shows `links` once it has one: the ten newest, expired ones too;
- a file whose time is over stays, without content and `url`, and its links end with it;
- the content of a file that cannot be read again is a 400 without a code, content that is gone a
  404, as is an expired link; no answer redirects;
- images of identity checks are refused to a plain secret key with a 403; whether the verification
  is a recent one is not looked at; a link to one never ends later than 30 seconds from now;
- a change of an expired link is a 400 without a code;
- that a file is used in one other request only is not looked at.
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import Any, Final

import attrs

from pinstripe.sandbox._files.media import TYPES, UNKNOWN_TYPE
from pinstripe.sandbox._files.purposes import (
    IDENTITY_IMAGES,
    MAX_BYTES,
    PURPOSES,
    UPLOADABLE,
    check_upload,
)
from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.lists import list_objects
from pinstripe.sandbox._http.routes import LIST_PARAMS, Content, Route
from pinstripe.sandbox._params.errors import Refusal, invalid, missing
from pinstripe.sandbox._params.forms import Tree
from pinstripe.sandbox._params.multipart import FILE as FILE_PART
from pinstripe.sandbox._params.schema import BOOLEAN, METADATA, STRING, TIMESTAMP, Object, Word
from pinstripe.sandbox._state.kinds import Field, Kind
from pinstripe.sandbox._state.table import Json, Query
from pinstripe.sandbox._state.world import Account, Job

FILE: Final = "file"
LINK: Final = "file_link"

MAX_LIFETIME: Final = 30
LINKS_SHOWN: Final = 10

_EXPIRE_FILE: Final = "expire_file"
_EXPIRE_LINK: Final = "expire_file_link"
_FRAMING: Final = 64 * 1024
_NOW: Final = "now"
_FOLDERS: Final = re.compile(r".*[/\\]", re.DOTALL)  # of the sender's machine
_TICK: Final = 0.001  # sums of times are that exact


def _token_of(link: Json) -> object:
    return link["url"] and link["url"].rpartition("/")[2]


KINDS: Final = (
    Kind(FILE, "file_", indexes={"purpose": itemgetter("purpose")}),
    Kind(
        LINK,
        "link_",
        {"file": Field(link=FILE)},
        {"expired": itemgetter("expired"), "file": itemgetter("file"), "token": _token_of},
    ),
)


@attrs.frozen
class _Moment:
    """A time to come, the word `now`, or "" for never, which is read as None."""

    def read(self, raw: Tree, path: str) -> int | str | None:
        """Return the second, `now` or None."""
        if raw == "":
            return None
        return _NOW if raw == _NOW else TIMESTAMP.read(raw, path)


_CREATE: Final = Object(
    {
        "file": FILE_PART,
        "purpose": Word(UPLOADABLE),
        "file_link_data": Object(
            {"create": BOOLEAN, "expires_at": TIMESTAMP, "metadata": METADATA},
            required=("create",),
        ),
    },
    required=("file", "purpose"),
)
_LIST: Final = Object({**LIST_PARAMS, "purpose": Word(tuple(PURPOSES))})
_CREATE_LINK: Final = Object(
    {"file": STRING, "expires_at": TIMESTAMP, "metadata": METADATA}, required=("file",)
)
_UPDATE_LINK: Final = Object({"expires_at": _Moment(), "metadata": METADATA})
_LIST_LINKS: Final = Object({**LIST_PARAMS, "expired": BOOLEAN, "file": STRING})


def store_file(
    account: Account, id: str, purpose: str, *, name: str | None, ending: str | None, data: bytes
) -> Json:
    """Store a file and its content.

    Args:
        account: where it is stored.
        id: its id.
        purpose: what it is for.
        name: its file name, None where it has none.
        ending: what stands for its format, None where that is not known.
        data: its content.

    Returns:
        The file.
    """
    rules, now = PURPOSES[purpose], account.timestamp()
    value: Json = {
        "id": id,
        "object": FILE,
        "created": now,
        "expires_at": None if rules.expires is None else now + rules.expires,
        "filename": name,
        "purpose": purpose,
        "size": len(data),
        "title": None,
        "type": ending,
        "url": f"{account.world.base_url}/v1/files/{id}/contents" if rules.readable else None,
    }
    if rules.expires is not None:
        account.schedule(rules.expires, _EXPIRE_FILE, id)
    account.put_content(id, data)
    return account.put(value)


def drop_file(account: Account, id: str) -> None:
    """Take the content of a file away, and end the links to it."""
    for link in account.tables[LINK].find_by("file", id):
        _end(account, link, account.timestamp())
    account.remove_content(id)
    account.put({**account.get(FILE, id), "url": None})


def _create_file(call: Call) -> Json:
    account, params = call.account, call.params
    purpose, file = params["purpose"], params["file"]
    ending, link = check_upload(purpose, file), params.get("file_link_data", {})
    if link.get("create"):
        _check_link(call, purpose, link.get("expires_at"), "file_link_data")
    id, name = account.new_id(FILE), _FOLDERS.sub("", file.filename) or None
    value = store_file(account, id, purpose, name=name, ending=ending, data=file.data)
    if link.get("create"):
        _store_link(account, value["id"], link)
    return call.show(account.get(FILE, value["id"]))


def _retrieve_file(call: Call) -> Json:
    return call.show(_file(call))


def _list_files(call: Call) -> Json:
    return list_objects(call, FILE, equals=("purpose",))


def _contents(call: Call) -> Content:
    value = _file(call)
    if not PURPOSES[value["purpose"]].readable:
        raise invalid(f"A file for {value['purpose']} cannot be read again.")
    _check_key(call, value["purpose"])
    return _content_of(call.account, value)


def _open_link(call: Call) -> Content:
    for account in call.account.world.accounts():
        account.run_due()
        for link in account.tables[LINK].find_by("token", call.ids[0]):
            return _content_of(account, account.get(FILE, str(link["file"])))
    raise Refusal("This link has expired, or never led anywhere.", status=404)


def _create_link(call: Call) -> Json:
    params = call.params
    file = call.account.get(FILE, params["file"], "file", 400)
    if file["url"] is None and PURPOSES[file["purpose"]].readable:
        raise invalid("The content of this file is gone.", "file")
    _check_link(call, file["purpose"], params.get("expires_at"))
    return call.show(_store_link(call.account, file["id"], params))


def _retrieve_link(call: Call) -> Json:
    return call.show(_link(call))


def _update_link(call: Call) -> Json:
    value, params = _link(call), call.params
    if value["expired"]:
        raise invalid("An expired link cannot be changed.")
    if "metadata" in params:
        value = {**value, "metadata": METADATA.merge(value["metadata"], params["metadata"])}
    if params.get("expires_at") == _NOW:
        return call.show(_end(call.account, value, call.account.timestamp()))
    if "expires_at" in params:
        purpose = call.account.get(FILE, str(value["file"]))["purpose"]
        _check_end(call, purpose, params["expires_at"], "expires_at")
        value = {**value, "expires_at": params["expires_at"]}
        _plan_end(call.account, value)
    return call.show(_keep(call.account, value))


def _list_links(call: Call) -> Json:
    return list_objects(call, LINK, equals=("expired", "file"))


def _file(call: Call) -> Json:
    return call.account.get(FILE, call.ids[0], "file")


def _link(call: Call) -> Json:
    return call.account.get(LINK, call.ids[0], "link")


def _content_of(account: Account, file: Json) -> Content:
    data = account.content(file["id"])
    if data is None:
        raise missing("file content", file["id"], "file")
    return Content(data, TYPES.get(file["type"], UNKNOWN_TYPE))


def _check_key(call: Call, purpose: str) -> None:
    if purpose in IDENTITY_IMAGES and not call.restricted:
        text = "Only a restricted key (rk_test_...) may read images of an identity check."
        raise Refusal(text, status=403)


def _check_link(call: Call, purpose: str, end: int | None, parent: str = "") -> None:
    if not PURPOSES[purpose].linkable:
        raise invalid(f"Links to a file for {purpose} are not allowed.", parent or "file")
    _check_key(call, purpose)
    _check_end(call, purpose, end, f"{parent}[expires_at]" if parent else "expires_at")


def _check_end(call: Call, purpose: str, end: int | None, param: str) -> None:
    now = call.account.now()
    if end is not None and end <= now:
        raise invalid("A link can only end in the future.", param)
    if purpose in IDENTITY_IMAGES and (end is None or end > now + MAX_LIFETIME):
        text = f"A link to an image of an identity check ends within {MAX_LIFETIME} seconds."
        raise invalid(text, param)


def _store_link(account: Account, file: str, params: dict[str, Any]) -> Json:
    value: Json = {
        "id": account.new_id(LINK),
        "object": LINK,
        "created": account.timestamp(),
        "expired": False,
        "expires_at": params.get("expires_at"),
        "file": file,
        "livemode": False,
        "metadata": METADATA.merge({}, params.get("metadata", {})),
        "url": f"{account.world.base_url}/links/{account.random_text(60)}",
    }
    _plan_end(account, value)
    return _keep(account, value)


def _keep(account: Account, link: Json) -> Json:
    """Store a link, and show it at its file."""
    account.put(link)
    path = f"/v1/file_links?file={link['file']}"
    found = account.tables[LINK].find(Query(LINKS_SHOWN, equals={"file": link["file"]}))
    assert found is not None, "there is no cursor that could be missing"
    shown = {"object": "list", "data": found.objects, "has_more": found.has_more, "url": path}
    account.put({**account.get(FILE, link["file"]), "links": shown})
    return link


def _plan_end(account: Account, link: Json) -> None:
    if link["expires_at"] is not None:
        account.schedule(link["expires_at"] - account.now(), _EXPIRE_LINK, link["id"])


def _end(account: Account, link: Json, at: int) -> Json:
    return (
        link
        if link["expired"]
        else _keep(account, {**link, "expired": True, "expires_at": at, "url": None})
    )


def _link_is_due(account: Account, id: str) -> None:
    link = account.get(LINK, id)
    if link["expires_at"] is not None and link["expires_at"] <= account.now() + _TICK:
        _end(account, link, link["expires_at"])


JOBS: Final[dict[str, Job]] = {_EXPIRE_FILE: drop_file, _EXPIRE_LINK: _link_is_due}

ROUTES: Final = (
    Route("POST", "/v1/files", _create_file, _CREATE, FILE, upload=MAX_BYTES + _FRAMING),
    Route("GET", "/v1/files", _list_files, _LIST, FILE, listed=True),
    Route("GET", "/v1/files/{file}", _retrieve_file, kind=FILE),
    Route("GET", "/v1/files/{file}/contents", _contents),
    Route("POST", "/v1/file_links", _create_link, _CREATE_LINK, LINK),
    Route("GET", "/v1/file_links", _list_links, _LIST_LINKS, LINK, listed=True),
    Route("GET", "/v1/file_links/{link}", _retrieve_link, kind=LINK),
    Route("POST", "/v1/file_links/{link}", _update_link, _UPDATE_LINK, LINK),
    Route("GET", "/links/{token}", _open_link, open=True),
)

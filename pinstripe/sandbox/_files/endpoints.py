"""Files and file links as the API offers them: uploads, contents, and links that can expire.

A file and its content are stored apart, because the content can be deleted before the file. A link
is found by the token in its address, without a key. What expires does so by a scheduled job.

Choices where the published facts are silent:

- a file shows its ten newest `links`, expired ones too;
- a file that has expired remains, without content and `url`, and its links expire with it;
- the content of a file that cannot be read back is a 400 without a code; content that was deleted
  is a 404, as is an expired link; no answer redirects;
- a plain secret key gets a 403 for images of identity checks, however recent the verification is; a
  link to such an image expires at most 30 seconds from now;
- a change of an expired link is a 400 without a code;
- a file can be used in any number of other requests.
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import Any, Final

from attrs import frozen

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
_NOW: Final = "now"
# Room for the other parts and the boundaries of a multipart body.
_FRAMING: Final = 64 * 1024
# Folders of the sender's machine, which some browsers send with the file name.
_FOLDERS: Final = re.compile(r".*[/\\]", re.DOTALL)
# Times are sums of floats, which are exact to about a microsecond: a millisecond is enough.
_TOLERANCE: Final = 0.001


def _token_of(link: Json) -> object:
    return link["url"] and link["url"].rpartition("/")[2]


KINDS: Final = (
    Kind(FILE, "file_", {"links": Field(embedded=True)}, {"purpose": itemgetter("purpose")}),
    Kind(
        LINK,
        "link_",
        {"file": Field(link=FILE)},
        {"expired": itemgetter("expired"), "file": itemgetter("file"), "token": _token_of},
    ),
)


@frozen
class _Moment:
    """A parameter: a time, the word `now`, or "" for never, which is read as None."""

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
    account: Account, id: str, purpose: str, *, name: str | None, format: str | None, data: bytes
) -> Json:
    """Store a file and its content.

    Args:
        account: The account that stores it.
        id: Its id.
        purpose: Its purpose.
        name: Its file name, None if it has none.
        format: Its format as the API names it, None if it is unknown.
        data: Its content.

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
        "links": _list_of_links(id, [], has_more=False),
        "purpose": purpose,
        "size": len(data),
        "title": None,
        "type": format,
        "url": f"{account.world.base_url}/v1/files/{id}/contents" if rules.readable else None,
    }
    if rules.expires is not None:
        account.schedule(rules.expires, _EXPIRE_FILE, id)
    account.put_content(id, data)
    return account.put(value)


def delete_content(account: Account, id: str) -> None:
    """Delete the content of a file, and let the links to it expire."""
    for link in account.tables[LINK].find_by("file", id):
        _expire(account, link, account.timestamp())
    account.remove_content(id)
    account.put({**account.get(FILE, id), "url": None})


def _create_file(call: Call) -> Json:
    account, params = call.account, call.params
    purpose, file, link = params["purpose"], params["file"], params.get("file_link_data", {})
    format = check_upload(purpose, file)
    # Everything is checked before anything is stored.
    if link.get("create"):
        _check_link(call, purpose, link.get("expires_at"), "file_link_data")
    id, name = account.new_id(FILE), _FOLDERS.sub("", file.filename) or None
    store_file(account, id, purpose, name=name, format=format, data=file.data)
    if link.get("create"):
        _create_link_to(account, id, link)
    return call.show(account.get(FILE, id))


def _retrieve_file(call: Call) -> Json:
    return call.show(_file(call))


def _list_files(call: Call) -> Json:
    return list_objects(call, FILE, equals=("purpose",))


def _read_file(call: Call) -> Content:
    value = _file(call)
    if not PURPOSES[value["purpose"]].readable:
        raise invalid(f"The content of a file for {value['purpose']} cannot be downloaded.")
    _check_key(call, value["purpose"])
    return _content_of(call.account, value)


def _open_link(call: Call) -> Content:
    # Without a key nothing says which account is meant, so each is asked. The jobs of the account
    # come first: they let the links expire that are due.
    for account in call.account.world.accounts():
        account.run_due()
        for link in account.tables[LINK].find_by("token", call.ids[0]):
            return _content_of(account, account.get(FILE, str(link["file"])))
    raise Refusal("This link does not exist or has expired.", status=404)


def _create_link(call: Call) -> Json:
    params = call.params
    file = call.account.get(FILE, params["file"], "file", 400)
    # A file whose content can be read back loses its address together with its content.
    if file["url"] is None and PURPOSES[file["purpose"]].readable:
        raise invalid("The content of this file was deleted.", "file")
    _check_link(call, file["purpose"], params.get("expires_at"))
    return call.show(_create_link_to(call.account, file["id"], params))


def _retrieve_link(call: Call) -> Json:
    return call.show(_link(call))


def _update_link(call: Call) -> Json:
    value, params = _link(call), call.params
    if value["expired"]:
        raise invalid("An expired link cannot be changed.")
    if "metadata" in params:
        value = {**value, "metadata": METADATA.merge(value["metadata"], params["metadata"])}
    if params.get("expires_at") == _NOW:
        return call.show(_expire(call.account, value, call.account.timestamp()))
    if "expires_at" in params:
        purpose = call.account.get(FILE, str(value["file"]))["purpose"]
        _check_expiry(call, purpose, params["expires_at"], "expires_at")
        value = {**value, "expires_at": params["expires_at"]}
        _schedule_expiry(call.account, value)
    return call.show(_store_link(call.account, value))


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
    # What somebody uploaded is never shown as a page of the sandbox: an SVG could run a script.
    headers = {
        "Content-Disposition": "attachment",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return Content(data, TYPES.get(file["type"], UNKNOWN_TYPE), headers=headers)


def _check_key(call: Call, purpose: str) -> None:
    if purpose in IDENTITY_IMAGES and not call.restricted:
        text = "Only a restricted key (rk_test_...) may read images of an identity check."
        raise Refusal(text, status=403)


def _check_link(call: Call, purpose: str, expires_at: int | None, parent: str = "") -> None:
    if not PURPOSES[purpose].linkable:
        raise invalid(f"Links to a file for {purpose} are not allowed.", parent or "file")
    _check_key(call, purpose)
    _check_expiry(call, purpose, expires_at, f"{parent}[expires_at]" if parent else "expires_at")


def _check_expiry(call: Call, purpose: str, expires_at: int | None, param: str) -> None:
    now = call.account.now()
    if expires_at is not None and expires_at <= now:
        raise invalid("The time at which a link expires must be in the future.", param)
    if purpose in IDENTITY_IMAGES and (expires_at is None or expires_at > now + MAX_LIFETIME):
        text = f"A link to an image of an identity check must expire within {MAX_LIFETIME} seconds."
        raise invalid(text, param)


def _create_link_to(account: Account, file: str, params: dict[str, Any]) -> Json:
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
    _schedule_expiry(account, value)
    return _store_link(account, value)


def _store_link(account: Account, link: Json) -> Json:
    """Store a link, and update the list of links that its file shows."""
    account.put(link)
    found = account.tables[LINK].find(Query(LINKS_SHOWN, equals={"file": link["file"]}))
    assert found is not None, "a query without a cursor always finds a page"
    links = _list_of_links(link["file"], found.objects, has_more=found.has_more)
    account.put({**account.get(FILE, link["file"]), "links": links})
    return link


def _list_of_links(file: str, links: list[Json], *, has_more: bool) -> Json:
    path = f"/v1/file_links?file={file}"
    return {"object": "list", "data": links, "has_more": has_more, "url": path}


def _schedule_expiry(account: Account, link: Json) -> None:
    if link["expires_at"] is not None:
        account.schedule(link["expires_at"] - account.now(), _EXPIRE_LINK, link["id"])


def _expire(account: Account, link: Json, at: int) -> Json:
    if link["expired"]:
        return link
    return _store_link(account, {**link, "expired": True, "expires_at": at, "url": None})


def _expire_when_due(account: Account, id: str) -> None:
    link = account.get(LINK, id)
    # The time may have been changed after this job was scheduled: then another job is for it.
    if link["expires_at"] is not None and link["expires_at"] <= account.now() + _TOLERANCE:
        _expire(account, link, link["expires_at"])


JOBS: Final[dict[str, Job]] = {_EXPIRE_FILE: delete_content, _EXPIRE_LINK: _expire_when_due}

ROUTES: Final = (
    Route("POST", "/v1/files", _create_file, _CREATE, FILE, upload=MAX_BYTES + _FRAMING),
    Route("GET", "/v1/files", _list_files, _LIST, FILE, listed=True),
    Route("GET", "/v1/files/{file}", _retrieve_file, kind=FILE),
    Route("GET", "/v1/files/{file}/contents", _read_file),
    Route("POST", "/v1/file_links", _create_link, _CREATE_LINK, LINK),
    Route("GET", "/v1/file_links", _list_links, _LIST_LINKS, LINK, listed=True),
    Route("GET", "/v1/file_links/{link}", _retrieve_link, kind=LINK),
    Route("POST", "/v1/file_links/{link}", _update_link, _UPDATE_LINK, LINK),
    Route("GET", "/links/{token}", _open_link, open=True),
)

"""The images of a verification: made with its report, deleted with its redaction.

Choices where the published facts are silent: the photo of a document that a selfie was compared
with is an `identity_document_downloadable` too; each image has a `file.created` event, before its
report exists; after a redaction the files remain, without content. Reports that `seeding` makes
have no images.
"""

from __future__ import annotations

from typing import Final

from pinstripe.sandbox._files import media
from pinstripe.sandbox._files.endpoints import FILE, delete_content, store_file
from pinstripe.sandbox._files.purposes import DOCUMENT_IMAGE, SELFIE
from pinstripe.sandbox._state.origin import NO_REQUEST
from pinstripe.sandbox._state.table import Json, get_object
from pinstripe.sandbox._state.world import Account

_SIDES: Final = ("front", "back")
# Greys that `media.jpeg` can make.
_DARKEST, _SHADES = 160, 32


def make_images(account: Account, report: Json) -> None:
    """Store the images that a report refers to, and send an event for each.

    Args:
        account: The account that stores them.
        report: The report.
    """
    shade = _DARKEST + account.random_below(_SHADES)
    selfie = get_object(report, "selfie")
    for side, id in zip(_SIDES, get_object(report, "document").get("files", ()), strict=False):
        _make(account, id, DOCUMENT_IMAGE, f"id_{side}.jpg", media.jpeg(shade, id))
    if selfie:
        photo, face = selfie["document"], selfie["selfie"]
        _make(account, photo, DOCUMENT_IMAGE, "id_photo.jpg", media.jpeg(shade, photo))
        _make(account, face, SELFIE, "selfie.png", media.png(shade, face))


def delete_images(account: Account, report: Json) -> None:
    """Delete the content of a report's images.

    Args:
        account: The account that stores them.
        report: The report.
    """
    selfie = get_object(report, "selfie")
    ids: list[str] = [*get_object(report, "document").get("files", ())]
    ids += [selfie[name] for name in ("document", "selfie") if name in selfie]
    for id in ids:
        # Reports that `seeding` made name files that were never stored.
        if id in account.tables[FILE]:
            delete_content(account, id)


def _make(account: Account, id: str, purpose: str, name: str, data: bytes) -> None:
    format = name.rpartition(".")[2]
    value = store_file(account, id, purpose, name=name, format=format, data=data)
    account.emit("file.created", value, NO_REQUEST)

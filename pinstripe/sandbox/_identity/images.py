"""The images that a verification leaves behind: made with its report, gone with its redaction.

Choices where the published facts are silent: the photo of a document that a selfie was compared
with is an `identity_document_downloadable` too; each image is told by `file.created` before its
report is there; after a redaction the files stay, without content. The history that seeding makes
has reports, and no images.
"""

from __future__ import annotations

from typing import Final

from pinstripe.sandbox._files import media
from pinstripe.sandbox._files.endpoints import drop_file, store_file
from pinstripe.sandbox._files.purposes import DOCUMENT_IMAGE, SELFIE
from pinstripe.sandbox._state.table import Json, get_object
from pinstripe.sandbox._state.world import Account, EventOrigin

_SIDES: Final = ("front", "back")
_DARKEST, _SHADES = 160, 32
_NOBODY: Final = EventOrigin()


def make_images(account: Account, report: Json) -> None:
    """Store the images that a report refers to, and tell them by events.

    Args:
        account: where they are stored.
        report: the report.
    """
    shade = _DARKEST + account.random_below(_SHADES)
    selfie = get_object(report, "selfie")
    for side, id in zip(_SIDES, get_object(report, "document").get("files", ()), strict=False):
        _make(account, id, DOCUMENT_IMAGE, f"id_{side}.jpg", media.jpeg(shade, id))
    if selfie:
        photo, face = selfie["document"], selfie["selfie"]
        _make(account, photo, DOCUMENT_IMAGE, "id_photo.jpg", media.jpeg(shade, photo))
        _make(account, face, SELFIE, "selfie.png", media.png(shade, face))


def drop_images(account: Account, report: Json) -> None:
    """Take the content of a report's images away.

    Args:
        account: where they are stored.
        report: the report.
    """
    selfie = get_object(report, "selfie")
    ids: list[str] = [*get_object(report, "document").get("files", ())]
    ids += [selfie[name] for name in ("document", "selfie") if name in selfie]
    for id in ids:
        if id in account.tables["file"]:
            drop_file(account, id)


def _make(account: Account, id: str, purpose: str, name: str, data: bytes) -> None:
    ending = name.rpartition(".")[2]
    value = store_file(account, id, purpose, name=name, ending=ending, data=data)
    account.emit("file.created", value, _NOBODY)

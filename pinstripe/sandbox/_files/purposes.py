"""What a file may be for: formats, sizes and lifetimes by purpose, and the check of an upload.

Choices where the published facts are silent: sizes in MB and KB count in thousands and a month has
30 days; a purpose without published limits takes any format up to 16 MB, and its content can be
read back only if links to it are allowed; a file of a wrong format, with too many pixels, too large
or empty is a 400 without a code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from pinstripe.sandbox._files.media import JPEG, PNG, format_of, pixels_of
from pinstripe.sandbox._params.errors import invalid
from pinstripe.sandbox._params.forms import Upload

# The limit of each purpose that has none of its own.
MAX_BYTES: Final = 16_000_000

DOCUMENT_IMAGE: Final = "identity_document_downloadable"
SELFIE: Final = "selfie"
IDENTITY_IMAGES: Final = (DOCUMENT_IMAGE, SELFIE)

_DAY: Final = 24 * 60 * 60
_SCANS: Final = ("pdf", JPEG, PNG)
_PICTURES: Final = (JPEG, PNG, "gif")


@frozen
class Purpose:
    """The rules of one purpose.

    Attributes:
        types: The formats that are accepted; empty for any.
        max_bytes: The largest size in bytes.
        max_pixels: The largest width and height of an image, 0 for any.
        expires: Seconds after which the content is deleted, None for never.
        readable: Whether the content can be read back.
        linkable: Whether links can be made.
        service_made: Whether only the service makes such files.
    """

    types: tuple[str, ...] = ()
    max_bytes: int = MAX_BYTES
    max_pixels: int = 0
    expires: int | None = None
    readable: bool = False
    linkable: bool = False
    service_made: bool = False


def _readable(
    *types: str, max_bytes: int = MAX_BYTES, days: int = 0, service_made: bool = False
) -> Purpose:
    return Purpose(
        types,
        max_bytes,
        expires=days * _DAY or None,
        readable=True,
        linkable=True,
        service_made=service_made,
    )


PURPOSES: Final[Mapping[str, Purpose]] = {
    "account_requirement": Purpose(_SCANS),
    "additional_verification": Purpose(_SCANS),
    "business_icon": _readable(*_PICTURES, max_bytes=512_000),
    "business_logo": _readable(*_PICTURES, max_bytes=512_000),
    "customer_signature": _readable(JPEG, PNG, "svg", max_bytes=4_000_000, days=7),
    "dispute_evidence": _readable(*_SCANS, max_bytes=5_000_000, days=9 * 30),
    "document_provider_identity_document": Purpose(service_made=True),
    "finance_report_run": _readable(service_made=True),
    "financial_account_statement": _readable(service_made=True),
    "identity_document": Purpose(_SCANS, max_pixels=8000),
    DOCUMENT_IMAGE: _readable(service_made=True),
    "issuing_regulatory_reporting": _readable("json", max_bytes=256_000, days=2 * 365),
    "pci_document": _readable("pdf"),
    "platform_terms_of_service": Purpose(),
    SELFIE: _readable(service_made=True),
    "sigma_scheduled_query": _readable(service_made=True),
    "tax_document_user_upload": _readable(*_SCANS, "csv", "xlsx", "docx"),
    "terminal_android_apk": _readable(),
    "terminal_reader_splashscreen": _readable(*_PICTURES, max_bytes=4_194_304, days=365),
    "terminal_wifi_certificate": Purpose(),
    "terminal_wifi_private_key": Purpose(),
}
UPLOADABLE: Final = tuple(name for name, rules in PURPOSES.items() if not rules.service_made)


def check_upload(purpose: str, file: Upload) -> str | None:
    """Check an upload against the rules of its purpose.

    Args:
        purpose: The purpose.
        file: The file.

    Returns:
        Its format as the API names it, such as `pdf`; None if it is unknown.

    Raises:
        Refusal: 400 if the purpose does not accept the file.
    """
    rules, found = PURPOSES[purpose], format_of(file.data, file.filename)
    if not file.data:
        raise invalid("The file is empty.", "file")
    if rules.types and found not in rules.types:
        text = f"A file for {purpose} must have one of these types: {', '.join(rules.types)}."
        raise invalid(text, "file")
    if len(file.data) > rules.max_bytes:
        raise invalid(f"A file for {purpose} can have at most {rules.max_bytes} bytes.", "file")
    pixels = pixels_of(file.data) if rules.max_pixels else None
    if pixels and max(pixels) > rules.max_pixels:
        text = f"An image for {purpose} can have at most {rules.max_pixels} pixels per side."
        raise invalid(text, "file")
    return found

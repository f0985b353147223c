"""Files: upload them, download what the API made, and share them by link.

A file is never whole in memory: an upload is read from the disk piece by piece, and a download is
written to it piece by piece. Reading the content needs a key; a file link gives it to anybody.

```python
import asyncio
import tempfile
from pathlib import Path
import pinstripe


async def main() -> None:
    async with pinstripe.AsyncClient() as stripe:
        receipt = b"%PDF-1.4 ..."
        file = await stripe.files.create(
            file=receipt, filename="receipt.pdf", purpose="dispute_evidence"
        )
        print(file.id, file.size)
        with tempfile.TemporaryDirectory() as folder:
            print(await stripe.files.download(file, Path(folder) / "receipt.pdf"))


asyncio.run(main())
```

Links, and the names of files, which can identify a person, are left out of every repr. Errors of
the operating system about a file of this machine are raised as they are, as an `OSError`.

https://docs.stripe.com/api/files
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from attrs import evolve
from typing_extensions import NotRequired, TypedDict

from pinstripe import bulk
from pinstripe._config.options import MAX_DOWNLOAD, RequestOptions
from pinstripe._core.checks import (
    check_flag,
    check_mapping,
    check_metadata,
    check_whole_number,
    kind_of,
    with_article,
)
from pinstripe._core.errors import ConfigurationError, IncompleteError
from pinstripe._disk.destination import make_folder
from pinstripe._disk.source import FileContent
from pinstripe._http.encoding import headers_for
from pinstripe._http.messages import Request, Response
from pinstripe._models.page import Page
from pinstripe._models.record import Listed, Private, model
from pinstripe._resources.endpoint import Endpoint, check_complete
from pinstripe._resources.pager import Pager
from pinstripe._resources.params import without_empty_metadata
from pinstripe._resources.resource import Resource
from pinstripe._resources.transfer import download, upload
from pinstripe._resources.walk import Created, Paging
from pinstripe.identity import VerificationReport

__all__ = [
    "File",
    "FileLink",
    "FileLinkDataParam",
    "FileLinks",
    "FilePurpose",
    "Files",
    "UploadPurpose",
]

# fmt: off
UploadPurpose: TypeAlias = Literal[
    "account_requirement", "additional_verification", "business_icon", "business_logo",
    "customer_signature", "dispute_evidence", "identity_document", "issuing_regulatory_reporting",
    "pci_document", "platform_terms_of_service", "tax_document_user_upload",
    "terminal_android_apk", "terminal_reader_splashscreen", "terminal_wifi_certificate",
    "terminal_wifi_private_key",
] | str
"""The purpose of an upload."""

FilePurpose: TypeAlias = Literal[
    "account_requirement", "additional_verification", "business_icon", "business_logo",
    "customer_signature", "dispute_evidence", "document_provider_identity_document",
    "finance_report_run", "financial_account_statement", "identity_document",
    "identity_document_downloadable", "issuing_regulatory_reporting", "pci_document",
    "platform_terms_of_service", "selfie", "sigma_scheduled_query", "tax_document_user_upload",
    "terminal_android_apk", "terminal_reader_splashscreen", "terminal_wifi_certificate",
    "terminal_wifi_private_key",
] | str
"""The purpose of a file; files of some purposes are made only by the API."""
# fmt: on

# The address of a link is followed only at the API's own host, so only its path is taken.
_LINK = re.compile(r"https?://[^/?#\s]+(/links/[\w.~=-]{1,255})", re.ASCII)
_ENDING = re.compile(r"[a-z0-9]{1,8}")


@model
class FileLink(Listed):
    """An address of the content of a file that needs no key.

    https://docs.stripe.com/api/file_links/object

    Anybody who has the `url` can read the file until the link expires; then `url` is None.
    """

    id: str
    object: Literal["file_link"] = "file_link"
    created: datetime
    expired: bool
    expires_at: datetime | None = None
    file: str | File
    livemode: bool
    metadata: Private[dict[str, str]]
    url: Private[str | None] = None


@model
class File(Listed):
    """A file at Stripe.

    https://docs.stripe.com/api/files/object

    `size` is in bytes, `type` is an ending such as `pdf`. `url` needs a key; it is None if the
    purpose does not allow the content to be read again. `links` has the links to the file, if its
    purpose allows links.
    """

    id: str
    object: Literal["file"] = "file"
    created: datetime
    expires_at: datetime | None = None
    filename: Private[str | None] = None
    links: Page[FileLink] | None = None
    purpose: FilePurpose
    size: int
    title: Private[str | None] = None
    type: str | None = None
    url: str | None = None


class FileLinkDataParam(TypedDict):
    """A link to create together with a file."""

    create: bool
    expires_at: NotRequired[datetime]
    metadata: NotRequired[Private[Mapping[str, str] | Literal[""]]]


class Files(Resource):
    """Calls on files."""

    _CREATE = Endpoint("POST", "/v1/files", File, "files")
    _RETRIEVE = Endpoint("GET", "/v1/files/{file}", File)
    _LIST = Endpoint("GET", "/v1/files", Page[File])
    _CONTENTS = Endpoint("GET", "/v1/files/{file}/contents", Response, "files")

    async def create(
        self,
        *,
        file: FileContent,
        purpose: UploadPurpose,
        filename: Private[str | None] = None,
        content_type: str | None = None,
        file_link_data: FileLinkDataParam | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> File:
        """Upload a file.

            file = await stripe.files.create(file="receipt.pdf", purpose="dispute_evidence")

        It is read from the disk piece by piece, again for each attempt. The deadline of the call
        includes the time to send it: set a long one for a large file.

        https://docs.stripe.com/api/files/create

        Args:
            file: The path of a file, bytes (also a `bytearray` or `memoryview`), or a binary file
                object that can seek, which is sent from its present position and stays open.
            purpose: The purpose; most purposes limit the type and size.
            filename: The name to send it under; needed for bytes, by default the name of the file.
            content_type: Its media type; by default guessed from the ending of its name.
            file_link_data: A link to create together with it.
            expand: Fields to expand.
            request_options: Options of this call.

        Raises:
            InvalidRequestError: The purpose does not allow this file.
            OSError: The file cannot be read.
        """
        link = None
        if file_link_data is not None:
            link = check_mapping("file_link_data", file_link_data)
            if "create" not in link:
                raise ConfigurationError("file_link_data", "needs the key create")
            check_metadata(link.get("metadata"), "file_link_data[metadata]")
        params = {
            "purpose": purpose,
            "file_link_data": None if link is None else without_empty_metadata(link),
            "expand": expand,
        }
        return await upload(
            self._send,
            self._CREATE,
            file,
            params,
            request_options,
            filename=filename,
            content_type=content_type,
        )

    async def retrieve(
        self,
        file: str,
        *,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> File:
        """Return the facts about a file, without its content.

        https://docs.stripe.com/api/files/retrieve

        Args:
            file: Its id (`file_...`).
            expand: Fields to expand.
            request_options: Options of this call.

        Raises:
            NotFoundError: The file does not exist.
        """
        return await self._call(self._RETRIEVE, {"expand": expand}, request_options, file=file)

    def list(
        self,
        *,
        created: Created | datetime | None = None,
        purpose: FilePurpose | None = None,
        limit: int | None = None,
        max_items: int | None = None,
        starting_after: str | None = None,
        ending_before: str | None = None,
        cursor: str | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Pager[File]:
        """List files, newest first.

        https://docs.stripe.com/api/files/list

        Args:
            created: Only those created in this range, or in this second.
            purpose: Only files of this purpose.
            limit: Objects in a page, 1 to 100; 100 by default.
            max_items: Objects in the whole walk, at most.
            starting_after: The id after which the walk starts.
            ending_before: The id before which the walk starts; it goes back to newer objects.
            cursor: Where an earlier walk stopped, from `Pager.cursor`.
            expand: Fields to expand, with the prefix `data.`.
            request_options: Options of each call.

        Returns:
            A pager: iterate it with `async for`, or await it for the first page.
        """
        params = {"created": created, "purpose": purpose, "expand": expand}
        paging = Paging(limit, max_items, starting_after, ending_before, cursor)
        return self._list(self._LIST, params, paging, request_options)

    async def download(
        self,
        file: str | File,
        destination: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        max_bytes: int = MAX_DOWNLOAD,
        request_options: RequestOptions | None = None,
    ) -> Path:
        """Write the content of a file to the disk.

        It grows under a temporary name beside the destination, and gets its name when it is
        complete and on the disk. After an error or a cancellation nothing of it is left. Only the
        owner of the process can read it. The deadline of the call includes the time to receive
        it: set a long one for a large file.

        https://docs.stripe.com/file-upload

        Args:
            file: Its id (`file_...`), or the `File`.
            destination: The path to write to, in a folder that exists.
            overwrite: Whether to replace a file that has this path.
            max_bytes: How long the content may be, in bytes; 1 GiB by default.
            request_options: Options of this call.

        Returns:
            The path.

        Raises:
            ConfigurationError: The purpose does not allow reading, or the content is gone.
            NotFoundError: The file does not exist, or was removed.
            PermissionDeniedError: The key may not read the file.
            ResponseTooLarge: The content is longer than `max_bytes`.
            FileExistsError: The path is taken.
            OSError: The file cannot be written.
        """
        request = self._contents(file, request_options)
        return await download(
            self._send, request, destination, overwrite=overwrite, max_bytes=max_bytes
        )

    async def read(
        self, file: str | File, *, request_options: RequestOptions | None = None
    ) -> bytes:
        """Return the content of a file that is small enough for the memory.

        https://docs.stripe.com/file-upload

        Args:
            file: Its id (`file_...`), or the `File`.
            request_options: Options of this call.

        Raises:
            ConfigurationError: The purpose does not allow reading, or the content is gone.
            NotFoundError: The file does not exist, or was removed.
            PermissionDeniedError: The key may not read the file.
            ResponseTooLarge: It is longer than `Limits.max_response_bytes`; use `download`.
        """
        request = self._contents(file, request_options)
        response = await self._send(request)
        check_complete(request, response)
        return response.body

    async def download_images(
        self,
        report: VerificationReport,
        folder: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        concurrency: int = 4,
        request_options: RequestOptions | None = None,
    ) -> dict[str, Path]:
        """Download every image that a verification report refers to.

        These are the images of the document (`document.files`), of the selfie, and of the
        document it was compared with (`selfie.selfie`, `selfie.document`). Each file is named by
        its id, such as `file_1abc.jpg`, and is written as `download` does it.

        A secret key may not read them, so the client needs a restricted key with three
        permissions: Files, sessions and reports of Identity, and recent sensitive results of
        Identity. The last one covers recent verifications only, and a redaction removes the
        images.

        https://docs.stripe.com/identity/access-verification-results

        Args:
            report: The report.
            folder: The folder to write to; created if it does not exist.
            overwrite: Whether to replace images that exist.
            concurrency: How many to download at once.
            request_options: Options of each call.

        Returns:
            The path of each image, by its id, in the order of the report.

        Raises:
            IncompleteError: Some images failed; the error has those, and the paths of the others.
            OSError: The folder cannot be created.
        """
        _check_kind("report", report, VerificationReport)
        check_flag("overwrite", overwrite)
        check_whole_number("concurrency", concurrency)
        headers_for("GET", request_options)  # refuses options that no call can have
        place = await make_folder(folder)
        document, selfie = report.document, report.selfie
        ids = list(document.files or ()) if document else []
        if selfie:
            ids += [id for id in (selfie.document, selfie.selfie) if id is not None]

        async def fetch(id: str) -> Path:
            file = await self.retrieve(id, request_options=request_options)
            # The ending comes from the API and becomes part of a path, so only a plain one is used.
            ending = file.type or ""
            path = place / (f"{file.id}.{ending}" if _ENDING.fullmatch(ending) else file.id)
            return await self.download(
                file, path, overwrite=overwrite, request_options=request_options
            )

        # The photo of the document can be in both checks; it is downloaded once.
        once = tuple(dict.fromkeys(ids))
        outcomes = bulk.fan_out(fetch, once, concurrency=concurrency)
        async with aclosing(outcomes):
            return _paths_or_error([outcome async for outcome in outcomes])

    def _contents(self, file: str | File, options: RequestOptions | None) -> Request:
        if isinstance(file, File) and file.url is None:
            problem = f"cannot be read: its purpose {file.purpose} does not allow it, or it is gone"
            raise ConfigurationError("file", problem)
        ids = {"file": file.id if isinstance(file, File) else file}
        return _for_content(self._CONTENTS.request({}, ids, options))


class FileLinks(Resource):
    """Calls on file links."""

    _CREATE = Endpoint("POST", "/v1/file_links", FileLink)
    _RETRIEVE = Endpoint("GET", "/v1/file_links/{link}", FileLink)
    _UPDATE = Endpoint("POST", "/v1/file_links/{link}", FileLink)
    _LIST = Endpoint("GET", "/v1/file_links", Page[FileLink])

    async def create(
        self,
        *,
        file: str,
        expires_at: datetime | None = None,
        metadata: Private[Mapping[str, str] | Literal[""] | None] = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> FileLink:
        """Create a link with which anybody can read a file.

        A link to an image of a verification has to expire within 30 seconds, and needs a
        restricted key.

        https://docs.stripe.com/api/file_links/create

        Args:
            file: The id of the file (`file_...`); most purposes allow no links.
            expires_at: When it expires, an aware datetime in the future; never by default.
            metadata: Your own data: up to 50 keys.
            expand: Fields to expand, such as `["file"]`.
            request_options: Options of this call.

        Raises:
            InvalidRequestError: There is no such file, or its purpose allows no links.
        """
        params = {"file": file, "expires_at": expires_at, "metadata": metadata, "expand": expand}
        return await self._call(self._CREATE, params, request_options)

    async def retrieve(
        self,
        link: str,
        *,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> FileLink:
        """Return a link.

        https://docs.stripe.com/api/file_links/retrieve

        Args:
            link: Its id (`link_...`).
            expand: Fields to expand, such as `["file"]`.
            request_options: Options of this call.

        Raises:
            NotFoundError: The link does not exist.
        """
        return await self._call(self._RETRIEVE, {"expand": expand}, request_options, link=link)

    async def update(
        self,
        link: str,
        *,
        expires_at: datetime | Literal["now", ""] | None = None,
        metadata: Private[Mapping[str, str] | Literal[""] | None] = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> FileLink:
        """Change a link that has not expired.

        https://docs.stripe.com/api/file_links/update

        Args:
            link: Its id (`link_...`).
            expires_at: When it expires: a datetime in the future, `"now"`, or `""` for never.
            metadata: Merged into the metadata it has; an empty text removes its key, or all keys.
            expand: Fields to expand, such as `["file"]`.
            request_options: Options of this call.

        Raises:
            InvalidRequestError: The link has expired.
        """
        if isinstance(expires_at, str) and expires_at not in ("now", ""):
            problem = f"must be an aware datetime, 'now' or '', not {expires_at!r}"
            raise ConfigurationError("expires_at", problem)
        params = {"expires_at": expires_at, "metadata": metadata, "expand": expand}
        return await self._call(self._UPDATE, params, request_options, link=link)

    def list(
        self,
        *,
        created: Created | datetime | None = None,
        expired: bool | None = None,
        file: str | None = None,
        limit: int | None = None,
        max_items: int | None = None,
        starting_after: str | None = None,
        ending_before: str | None = None,
        cursor: str | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Pager[FileLink]:
        """List links, newest first.

        https://docs.stripe.com/api/file_links/list

        Args:
            created: Only those created in this range, or in this second.
            expired: True for only expired links, False for only those that are not.
            file: Only links to this file (`file_...`).
            limit: Objects in a page, 1 to 100; 100 by default.
            max_items: Objects in the whole walk, at most.
            starting_after: The id after which the walk starts.
            ending_before: The id before which the walk starts; it goes back to newer objects.
            cursor: Where an earlier walk stopped, from `Pager.cursor`.
            expand: Fields to expand, with the prefix `data.`.
            request_options: Options of each call.

        Returns:
            A pager: iterate it with `async for`, or await it for the first page.
        """
        params = {"created": created, "expired": expired, "file": file, "expand": expand}
        paging = Paging(limit, max_items, starting_after, ending_before, cursor)
        return self._list(self._LIST, params, paging, request_options)

    async def download(
        self,
        link: FileLink,
        destination: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        max_bytes: int = MAX_DOWNLOAD,
        request_options: RequestOptions | None = None,
    ) -> Path:
        """Write the content that a link leads to to the disk; no key is sent.

        The file is written as `Files.download` does it.

        https://docs.stripe.com/file-upload

        Args:
            link: The link.
            destination: The path to write to, in a folder that exists.
            overwrite: Whether to replace a file that has this path.
            max_bytes: How long the content may be, in bytes; 1 GiB by default.
            request_options: Options of this call.

        Returns:
            The path.

        Raises:
            ConfigurationError: The link has no address, so it has expired.
            APIError: The link has expired since it was retrieved.
            ResponseTooLarge: The file is longer than `max_bytes`.
            FileExistsError: The path is taken.
            OSError: The file cannot be written.
        """
        _check_kind("link", link, FileLink)
        found = _LINK.fullmatch(link.url or "")
        if found is None:
            raise ConfigurationError("link", "has no address to follow; it may have expired")
        endpoint = Endpoint("GET", found[1], Response, "files")
        request = _for_content(endpoint.request({}, {}, request_options))
        request = evolve(request, template="/links/{token}", anonymous=True)
        return await download(
            self._send, request, destination, overwrite=overwrite, max_bytes=max_bytes
        )


def _check_kind(argument: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        problem = f"must be {with_article(kind.__name__)}, not {kind_of(value)}"
        raise ConfigurationError(argument, problem)


def _for_content(request: Request) -> Request:
    """Return a request for bytes of any type, uncompressed: images are compressed already."""
    return evolve(
        request, headers={**request.headers, "Accept": "*/*", "Accept-Encoding": "identity"}
    )


def _paths_or_error(outcomes: Sequence[bulk.Outcome[str, Path]]) -> dict[str, Path]:
    paths = {one.input: one.value for one in outcomes if one.value is not None}
    errors = {one.input: one.error for one in outcomes if one.error is not None}
    if not errors:
        return paths
    which = ", ".join(f"{id} ({type(error).__name__})" for id, error in errors.items())
    problem = IncompleteError(f"{len(errors)} of {len(outcomes)} images failed: {which}")
    problem.paths, problem.errors = paths, errors
    raise problem

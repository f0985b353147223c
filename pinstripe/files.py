"""Files and file links: what is uploaded to the API, what it made itself, and who may read it.

https://docs.stripe.com/api/files

A file travels piece by piece and is never whole in memory. Its content needs a key; a link lets
whoever holds it read without one, so links are left out of every repr, as are the names of files,
which can tell who somebody is.

Whatever the operating system says of a file of this machine is raised as the `OSError` it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Literal

from attrs import evolve
from typing_extensions import NotRequired, TypedDict

from pinstripe import bulk
from pinstripe._config.options import MAX_DOWNLOAD, RequestOptions
from pinstripe._core.checks import check_metadata
from pinstripe._core.errors import ConfigurationError, IncompleteError
from pinstripe._disk.destination import make_folder
from pinstripe._disk.source import FileContent
from pinstripe._http.messages import Request, Response
from pinstripe._models.page import Page
from pinstripe._models.record import Listed, Private, model
from pinstripe._resources.endpoint import Endpoint, check_complete
from pinstripe._resources.pager import Pager
from pinstripe._resources.resource import Resource
from pinstripe._resources.transfer import download, upload
from pinstripe._resources.walk import Created, Paging
from pinstripe.identity import VerificationReport

# fmt: off
UploadPurpose = Literal[
    "account_requirement", "additional_verification", "business_icon", "business_logo",
    "customer_signature", "dispute_evidence", "identity_document", "issuing_regulatory_reporting",
    "pci_document", "platform_terms_of_service", "tax_document_user_upload",
    "terminal_android_apk", "terminal_reader_splashscreen", "terminal_wifi_certificate",
    "terminal_wifi_private_key",
] | str
"""What a file that you upload is for."""

FilePurpose = Literal[
    "account_requirement", "additional_verification", "business_icon", "business_logo",
    "customer_signature", "dispute_evidence", "document_provider_identity_document",
    "finance_report_run", "financial_account_statement", "identity_document",
    "identity_document_downloadable", "issuing_regulatory_reporting", "pci_document",
    "platform_terms_of_service", "selfie", "sigma_scheduled_query", "tax_document_user_upload",
    "terminal_android_apk", "terminal_reader_splashscreen", "terminal_wifi_certificate",
    "terminal_wifi_private_key",
] | str
"""What a file is for: some of these only the API makes."""
# fmt: on

_LINK = re.compile(r"https?://[^/?#\s]+(/links/[\w.~=-]{1,255})", re.ASCII)
_ENDING = re.compile(r"[a-z0-9]{1,8}")


@model
class FileLink(Listed):
    """A way to the content of a file that needs no key.

    https://docs.stripe.com/api/file_links/object

    Whoever has the `url` can read the file until the link expires; then `url` is None.
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

    `size` is in bytes, `type` an ending such as `pdf`. `url` is None where the purpose does not
    let the content be read again; reading it needs a key. `links` holds the links to it, where
    its purpose allows for any.
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
    """A link to make together with the file."""

    create: bool
    expires_at: NotRequired[datetime]
    metadata: NotRequired[Mapping[str, str] | Literal[""]]


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
        filename: str | None = None,
        content_type: str | None = None,
        file_link_data: FileLinkDataParam | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> File:
        """Upload a file.

            file = await stripe.files.create(file="receipt.pdf", purpose="dispute_evidence")

        It is read from the disk piece by piece, anew for each attempt. The deadline of the call
        is also that of sending it: give a long one with a large file.

        https://docs.stripe.com/api/files/create

        Args:
            file: The path of a file, bytes, or a binary file object that can seek. An object is
                sent from where it stands, and stays open.
            purpose: What it is for; most purposes bound its type and size.
            filename: The name to send it under: needed for bytes; by default that of the file.
            content_type: Its media type; by default the one that its name ends in.
            file_link_data: A link to make together with it.
            expand: Fields to expand.
            request_options: Options of this call.

        Raises:
            InvalidRequestError: The purpose does not take this file.
            OSError: The file cannot be read.
        """
        if file_link_data is not None:
            _check_link_data(file_link_data)
        params = {"purpose": purpose, "file_link_data": file_link_data, "expand": expand}
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
        """Return what is known of a file.

        https://docs.stripe.com/api/files/retrieve

        Args:
            file: Its id (`file_...`).
            expand: Fields to expand.
            request_options: Options of this call.

        Raises:
            NotFoundError: There is no such file.
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
            created: Only those made in this range, or at this very second.
            purpose: Only those of this purpose.
            limit: Objects a page, 1 to 100; 100 by default.
            max_items: Objects the walk gives at most.
            starting_after: The id after which the walk starts.
            ending_before: The id from which the walk goes back, to ever newer objects.
            cursor: Where an earlier walk stood, from `Pager.cursor`.
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

        It grows under a temporary name beside the destination and gets its name when it is whole
        and on the disk. After an error or a cancellation nothing of it is left. Only the owner of
        the process can read it. The deadline of the call is also that of receiving it: give a
        long one with a large file.

        https://docs.stripe.com/file-upload

        Args:
            file: Its id (`file_...`), or what `retrieve` gave.
            destination: The path to write to, in a folder that is there.
            overwrite: Whether to replace what is there under that path.
            max_bytes: Bytes to take at most; 1 GiB by default.
            request_options: Options of this call.

        Returns:
            The path.

        Raises:
            ConfigurationError: A file of this purpose cannot be read, or it is gone.
            NotFoundError: There is no such file, or no longer.
            PermissionDeniedError: The key may not read it.
            ResponseTooLarge: It is longer than `max_bytes`.
            FileExistsError: There is something under that path.
            OSError: It cannot be written.
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
            file: Its id (`file_...`), or what `retrieve` gave.
            request_options: Options of this call.

        Raises:
            ConfigurationError: A file of this purpose cannot be read, or it is gone.
            NotFoundError: There is no such file, or no longer.
            PermissionDeniedError: The key may not read it.
            ResponseTooLarge: It is longer than `Limits.max_response_bytes`; `download` it.
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
        """Write every image that a verification report refers to into a folder.

        These are the images of the document (`document.files`), and of the selfie and the
        document it was compared with (`selfie.selfie`, `selfie.document`). Each is named for its
        id, such as `file_1abc.jpg`, and the rules of `download` hold for it.

        A secret key may not read them, so the client needs a restricted key with three
        permissions: to Files, to the sessions and reports of Identity, and to recent sensitive
        results of Identity. The last is good for recent verifications only, and a redaction
        takes the images away.

        https://docs.stripe.com/identity/access-verification-results

        Args:
            report: The report.
            folder: Where to write; made where it is not there.
            overwrite: Whether to replace images that are there.
            concurrency: How many to fetch at once.
            request_options: Options of each call.

        Returns:
            The path of each image, by its id, in the order of the report.

        Raises:
            IncompleteError: Some could not be fetched: the others are, and it says which.
            OSError: The folder cannot be made.
        """
        place = await make_folder(folder)

        async def fetch(id: str) -> Path:
            file = await self.retrieve(id, request_options=request_options)
            path = place / _image_name(file)
            return await self.download(
                file, path, overwrite=overwrite, request_options=request_options
            )

        outcomes = bulk.fan_out(fetch, _images(report), concurrency=concurrency)
        async with aclosing(outcomes):
            return _all_of([outcome async for outcome in outcomes])

    def _contents(self, file: str | File, options: RequestOptions | None) -> Request:
        if isinstance(file, File) and file.url is None:
            problem = f"the content of this {file.purpose} cannot be read, or is gone"
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
        metadata: Mapping[str, str] | Literal[""] | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> FileLink:
        """Make a link that lets whoever holds it read a file.

        A link to an image of a verification has to expire within 30 seconds, and needs a
        restricted key.

        https://docs.stripe.com/api/file_links/create

        Args:
            file: The id of the file (`file_...`); most purposes allow no links.
            expires_at: When it ends, an aware datetime to come; never by default.
            metadata: Your own facts: up to 50 keys.
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
            NotFoundError: There is no such link.
        """
        return await self._call(self._RETRIEVE, {"expand": expand}, request_options, link=link)

    async def update(
        self,
        link: str,
        *,
        expires_at: datetime | Literal["now", ""] | None = None,
        metadata: Mapping[str, str] | Literal[""] | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> FileLink:
        """Change a link that has not expired.

        https://docs.stripe.com/api/file_links/update

        Args:
            link: Its id (`link_...`).
            expires_at: When it ends: a datetime to come, `"now"`, or `""` for never.
            metadata: Merged into what is there; an empty text removes its key, or all.
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
            created: Only those made in this range, or at this very second.
            expired: Only those that have expired, or have not.
            file: Only those to a file (`file_...`).
            limit: Objects a page, 1 to 100; 100 by default.
            max_items: Objects the walk gives at most.
            starting_after: The id after which the walk starts.
            ending_before: The id from which the walk goes back, to ever newer objects.
            cursor: Where an earlier walk stood, from `Pager.cursor`.
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
        """Follow a link and write what it leads to to the disk; no key is sent.

        The rules of `Files.download` hold.

        https://docs.stripe.com/file-upload

        Args:
            link: The link.
            destination: The path to write to, in a folder that is there.
            overwrite: Whether to replace what is there under that path.
            max_bytes: Bytes to take at most; 1 GiB by default.
            request_options: Options of this call.

        Returns:
            The path.

        Raises:
            ConfigurationError: The link has no address, since it has expired.
            APIError: The link has expired since it was retrieved.
            ResponseTooLarge: The file is longer than `max_bytes`.
            FileExistsError: There is something under that path.
            OSError: It cannot be written.
        """
        found = _LINK.fullmatch(link.url or "")
        if found is None:
            raise ConfigurationError("link", "has no address to follow; it may have expired")
        endpoint = Endpoint("GET", found[1], Response, "files")
        request = _for_content(endpoint.request({}, {}, request_options))
        request = evolve(request, template="/links/{token}", anonymous=True)
        return await download(
            self._send, request, destination, overwrite=overwrite, max_bytes=max_bytes
        )


def _check_link_data(data: FileLinkDataParam) -> None:
    if not isinstance(data, Mapping) or "create" not in data:
        raise ConfigurationError("file_link_data", "must be a mapping with create in it")
    check_metadata(data.get("metadata"), "file_link_data[metadata]")


def _for_content(request: Request) -> Request:
    """Ask for bytes of any type, and as they are: compressing images is of no use."""
    return evolve(
        request, headers={**request.headers, "Accept": "*/*", "Accept-Encoding": "identity"}
    )


def _images(report: VerificationReport) -> tuple[str, ...]:
    document, selfie = report.document, report.selfie
    found = list(document.files or ()) if document else []
    if selfie:
        found += [id for id in (selfie.document, selfie.selfie) if id is not None]
    return tuple(dict.fromkeys(found))


def _image_name(file: File) -> str:
    ending = file.type or ""
    return f"{file.id}.{ending}" if _ENDING.fullmatch(ending) else file.id


def _all_of(outcomes: Sequence[bulk.Outcome[str, Path]]) -> dict[str, Path]:
    paths = {one.input: one.value for one in outcomes if one.value is not None}
    errors = {one.input: one.error for one in outcomes if one.error is not None}
    if not errors:
        return paths
    which = ", ".join(f"{id} ({type(error).__name__})" for id, error in errors.items())
    problem = IncompleteError(f"{len(errors)} of {len(outcomes)} images failed: {which}")
    problem.paths, problem.errors = paths, errors
    raise problem

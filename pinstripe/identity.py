"""Identity: verification sessions and reports.

https://docs.stripe.com/api/identity/verification_sessions

Whatever tells who somebody is, or lets one pass for them, is left out of every repr; read the
attribute, or use `to_dict`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Literal

from typing_extensions import TypedDict

from pinstripe._config.options import RequestOptions
from pinstripe._core.errors import ConfigurationError
from pinstripe._http.messages import Sender
from pinstripe._models.page import Page
from pinstripe._models.record import Listed, Private, Record, model
from pinstripe._resources.endpoint import Endpoint
from pinstripe._resources.pager import Pager
from pinstripe._resources.resource import Resource
from pinstripe._resources.walk import Created, Paging

__all__ = [
    "CheckStatus",
    "DocumentOptionsParam",
    "DocumentType",
    "IdNumberType",
    "Identity",
    "IdentityAddress",
    "IdentityDate",
    "IdentityDocumentOptions",
    "IdentityIdNumberOptions",
    "IdentityMatchingOptions",
    "IdentityRequireVerification",
    "Matching",
    "ProvidedDetailsParam",
    "RedactionStatus",
    "RelatedPersonParam",
    "ReportDocument",
    "ReportEmail",
    "ReportIdNumber",
    "ReportOptions",
    "ReportPhone",
    "ReportSelfie",
    "SessionOptionsParam",
    "SessionStatus",
    "SessionType",
    "Sex",
    "VerificationError",
    "VerificationErrorCode",
    "VerificationReport",
    "VerificationReports",
    "VerificationSession",
    "VerificationSessionOptions",
    "VerificationSessionProvidedDetails",
    "VerificationSessionRedaction",
    "VerificationSessionRelatedPerson",
    "VerificationSessionVerifiedOutputs",
    "VerificationSessions",
    "VerificationType",
]

VerificationType = Literal["document", "id_number"] | str
"""What a session checks, when it is asked for without a flow."""

SessionType = Literal["document", "id_number", "verification_flow"] | str
"""What a session or report checks."""

SessionStatus = Literal["canceled", "processing", "requires_input", "verified"] | str
"""Where a session stands."""

DocumentType = Literal["driving_license", "id_card", "passport"] | str
"""The kind of an identity document."""

IdNumberType = Literal["br_cpf", "sg_nric", "us_ssn"] | str
"""The kind of an id number."""

Sex = Literal["[redacted]", "female", "male", "unknown"] | str
"""The sex that a document states."""

CheckStatus = Literal["unverified", "verified"] | str
"""The result of one check of a report."""

RedactionStatus = Literal["processing", "redacted", "validated"] | str
"""How far the redaction of a session is."""

Matching = Literal["none", "similar"] | str
"""How strictly a value must match what was provided."""

# fmt: off
VerificationErrorCode = Literal[
    "abandoned", "consent_declined", "country_not_supported", "device_not_supported",
    "under_supported_age",
    "document_expired", "document_type_not_supported", "document_unverified_other",
    "email_unverified_other", "email_verification_declined",
    "id_number_insufficient_document_data", "id_number_mismatch", "id_number_unverified_other",
    "phone_unverified_other", "phone_verification_declined",
    "selfie_document_missing_photo", "selfie_face_mismatch", "selfie_manipulated",
    "selfie_unverified_other",
] | str
# fmt: on
"""Why an attempt at a verification, or one of its checks, failed."""


@model
class IdentityAddress(Record):
    """A postal address; after redaction all but the country reads `[redacted]`."""

    city: Private[str | None] = None
    country: Private[str | None] = None
    line1: Private[str | None] = None
    line2: Private[str | None] = None
    postal_code: Private[str | None] = None
    state: Private[str | None] = None


@model
class IdentityDate(Record):
    """A calendar date of which parts can be missing; after redaction it is 1/1/1."""

    day: Private[int | None] = None
    month: Private[int | None] = None
    year: Private[int | None] = None

    @property
    def date(self) -> date | None:
        """The date, where all three parts are there and it exists; None where redacted."""
        if not (self.day and self.month and self.year) or self.year == 1:
            return None
        try:
            return date(self.year, self.month, self.day)
        except ValueError:
            return None


@model
class IdentityDocumentOptions(Record):
    """What the check of a document asks for."""

    allowed_types: tuple[DocumentType, ...] | None = None
    require_id_number: bool | None = None
    require_live_capture: bool | None = None
    require_matching_selfie: bool | None = None


@model
class IdentityRequireVerification(Record):
    """Whether an email address or phone number must be verified."""

    require_verification: bool | None = None


@model
class IdentityIdNumberOptions(Record):
    """What the check of an id number asks for; the API gives it no options today."""


@model
class IdentityMatchingOptions(Record):
    """How strictly a document must match what was provided."""

    dob: Matching | None = None
    name: Matching | None = None


@model
class VerificationSessionOptions(Record):
    """The checks of a session and their options."""

    document: IdentityDocumentOptions | None = None
    email: IdentityRequireVerification | None = None
    id_number: IdentityIdNumberOptions | None = None
    matching: IdentityMatchingOptions | None = None
    phone: IdentityRequireVerification | None = None


@model
class VerificationError(Record):
    """Why an attempt, or one check of it, failed; the reason was shown to the person."""

    code: VerificationErrorCode | None = None
    reason: str | None = None


@model
class VerificationSessionProvidedDetails(Record):
    """What was known of the person before the verification."""

    email: Private[str | None] = None
    phone: Private[str | None] = None


@model
class VerificationSessionRedaction(Record):
    """The redaction of a session; it can take four days."""

    status: RedactionStatus


@model
class VerificationSessionRelatedPerson(Record):
    """The person of a connected account that is verified."""

    account: str
    person: str


@model
class VerificationSessionVerifiedOutputs(Record):
    """What was verified of a person.

    `dob` and `id_number` are there only where they were expanded with a restricted key.
    """

    address: Private[IdentityAddress | None] = None
    dob: Private[IdentityDate | None] = None
    email: Private[str | None] = None
    first_name: Private[str | None] = None
    id_number: Private[str | None] = None
    id_number_type: IdNumberType | None = None
    last_name: Private[str | None] = None
    phone: Private[str | None] = None
    sex: Private[Sex | None] = None
    unparsed_place_of_birth: Private[str | None] = None
    unparsed_sex: Private[str | None] = None


@model
class ReportOptions(Record):
    """The options that the checks of a report were made with."""

    document: IdentityDocumentOptions | None = None
    id_number: IdentityIdNumberOptions | None = None


@model
class ReportDocument(Record):
    """The check of an identity document.

    `dob`, `expiration_date` and `number` are there only where they were expanded with a
    restricted key; `files` are the ids of the images.
    """

    status: CheckStatus
    type: DocumentType | None = None
    issuing_country: Private[str | None] = None
    error: VerificationError | None = None
    files: tuple[str, ...] | None = None
    address: Private[IdentityAddress | None] = None
    dob: Private[IdentityDate | None] = None
    expiration_date: Private[IdentityDate | None] = None
    first_name: Private[str | None] = None
    issued_date: Private[IdentityDate | None] = None
    last_name: Private[str | None] = None
    number: Private[str | None] = None
    sex: Private[Sex | None] = None
    unparsed_place_of_birth: Private[str | None] = None
    unparsed_sex: Private[str | None] = None


@model
class ReportEmail(Record):
    """The check of an email address."""

    status: CheckStatus
    error: VerificationError | None = None
    email: Private[str | None] = None


@model
class ReportIdNumber(Record):
    """The check of an id number; of a US SSN only the last four digits are ever given."""

    status: CheckStatus
    id_number_type: IdNumberType | None = None
    error: VerificationError | None = None
    dob: Private[IdentityDate | None] = None
    first_name: Private[str | None] = None
    id_number: Private[str | None] = None
    last_name: Private[str | None] = None


@model
class ReportPhone(Record):
    """The check of a phone number."""

    status: CheckStatus
    error: VerificationError | None = None
    phone: Private[str | None] = None


@model
class ReportSelfie(Record):
    """The check of a selfie; `document` and `selfie` are the ids of the images."""

    status: CheckStatus
    error: VerificationError | None = None
    document: str | None = None
    selfie: str | None = None


@model
class VerificationReport(Listed):
    """What one attempt at a verification found; a check that was not made is None.

    https://docs.stripe.com/api/identity/verification_reports
    """

    id: str
    object: Literal["identity.verification_report"] = "identity.verification_report"
    created: datetime
    livemode: bool
    type: SessionType
    verification_flow: str | None = None
    verification_session: str | None = None
    client_reference_id: Private[str | None] = None
    document: ReportDocument | None = None
    email: ReportEmail | None = None
    id_number: ReportIdNumber | None = None
    options: ReportOptions | None = None
    phone: ReportPhone | None = None
    selfie: ReportSelfie | None = None


@model
class VerificationSession(Listed):
    """One verification of a person, over all its attempts.

    https://docs.stripe.com/api/identity/verification_sessions/object

    `client_secret` and `url` let whoever holds them verify as this person; they are there while
    the status is `requires_input`, and new ones come with each retrieve. `verified_outputs` is
    there where it was expanded.
    """

    id: str
    object: Literal["identity.verification_session"] = "identity.verification_session"
    created: datetime
    livemode: bool
    status: SessionStatus
    type: SessionType
    client_reference_id: Private[str | None] = None
    client_secret: Private[str | None] = None
    last_error: VerificationError | None = None
    last_verification_report: str | VerificationReport | None = None
    metadata: Private[dict[str, str]]
    options: VerificationSessionOptions | None = None
    provided_details: Private[VerificationSessionProvidedDetails | None] = None
    redaction: VerificationSessionRedaction | None = None
    related_customer: str | None = None
    related_customer_account: str | None = None
    related_person: VerificationSessionRelatedPerson | None = None
    url: Private[str | None] = None
    verification_flow: str | None = None
    verified_outputs: Private[VerificationSessionVerifiedOutputs | None] = None


class DocumentOptionsParam(TypedDict, total=False):
    """What the check of a document asks for."""

    allowed_types: Sequence[DocumentType]
    require_id_number: bool
    require_live_capture: bool
    require_matching_selfie: bool


class SessionOptionsParam(TypedDict, total=False):
    """The options of a session's checks; an empty text unsets `document`."""

    document: DocumentOptionsParam | Literal[""]


class ProvidedDetailsParam(TypedDict, total=False):
    """What is known of the person."""

    email: str
    phone: str


class RelatedPersonParam(TypedDict):
    """The person of a connected account that is verified."""

    account: str
    person: str


class VerificationSessions(Resource):
    """Calls on verification sessions."""

    _CREATE = Endpoint("POST", "/v1/identity/verification_sessions", VerificationSession)
    _RETRIEVE = Endpoint("GET", "/v1/identity/verification_sessions/{session}", VerificationSession)
    _UPDATE = Endpoint("POST", "/v1/identity/verification_sessions/{session}", VerificationSession)
    _LIST = Endpoint("GET", "/v1/identity/verification_sessions", Page[VerificationSession])
    _CANCEL = Endpoint(
        "POST", "/v1/identity/verification_sessions/{session}/cancel", VerificationSession
    )
    _REDACT = Endpoint(
        "POST", "/v1/identity/verification_sessions/{session}/redact", VerificationSession
    )

    async def create(
        self,
        *,
        type: VerificationType | None = None,
        verification_flow: str | None = None,
        client_reference_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
        options: SessionOptionsParam | None = None,
        provided_details: ProvidedDetailsParam | None = None,
        related_customer: str | None = None,
        related_customer_account: str | None = None,
        related_person: RelatedPersonParam | None = None,
        return_url: str | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> VerificationSession:
        """Start the verification of a person: one session for all attempts.

        https://docs.stripe.com/api/identity/verification_sessions/create

        Args:
            type: What to check; needed unless there is a flow.
            verification_flow: The flow to follow (`vf_...`), in place of a type.
            client_reference_id: Your own id for the person.
            metadata: Your own facts: up to 50 keys.
            options: The options of the checks.
            provided_details: What you know of the person.
            related_customer: A customer (`cus_...`).
            related_customer_account: An account that is a customer (`acct_...`).
            related_person: The person of a connected account.
            return_url: Where the person goes when done.
            expand: Fields to expand.
            request_options: Options of this call.
        """
        if type is None and verification_flow is None:
            raise ConfigurationError("type", "is needed where there is no verification_flow")
        if related_person is not None and {"account", "person"} != set(related_person):
            raise ConfigurationError("related_person", "needs both account and person")
        params = {
            "type": type,
            "verification_flow": verification_flow,
            "client_reference_id": client_reference_id,
            "metadata": metadata,
            "options": options,
            "provided_details": provided_details,
            "related_customer": related_customer,
            "related_customer_account": related_customer_account,
            "related_person": related_person,
            "return_url": return_url,
            "expand": expand,
        }
        return await self._call(self._CREATE, params, request_options)

    async def retrieve(
        self,
        session: str,
        *,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> VerificationSession:
        """Return a session; while it requires input, with a fresh `client_secret` and `url`.

        https://docs.stripe.com/api/identity/verification_sessions/retrieve

        Args:
            session: Its id (`vs_...`).
            expand: Fields to expand, such as `["verified_outputs", "last_verification_report"]`.
            request_options: Options of this call.

        Raises:
            NotFoundError: There is no such session.
        """
        return await self._call(
            self._RETRIEVE, {"expand": expand}, request_options, session=session
        )

    async def update(
        self,
        session: str,
        *,
        type: VerificationType | None = None,
        metadata: Mapping[str, str] | None = None,
        options: SessionOptionsParam | None = None,
        provided_details: ProvidedDetailsParam | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> VerificationSession:
        """Change a session that still requires input.

        https://docs.stripe.com/api/identity/verification_sessions/update

        Args:
            session: Its id (`vs_...`).
            type: What to check.
            metadata: Merged into what is there; an empty text removes its key.
            options: The options of the checks; `{"document": ""}` unsets them.
            provided_details: What you know of the person.
            expand: Fields to expand.
            request_options: Options of this call.

        Raises:
            InvalidRequestError: The session no longer takes this change.
        """
        params = {
            "type": type,
            "metadata": metadata,
            "options": options,
            "provided_details": provided_details,
            "expand": expand,
        }
        return await self._call(self._UPDATE, params, request_options, session=session)

    def list(
        self,
        *,
        client_reference_id: str | None = None,
        created: Created | datetime | None = None,
        related_customer: str | None = None,
        related_customer_account: str | None = None,
        status: SessionStatus | None = None,
        limit: int | None = None,
        max_items: int | None = None,
        starting_after: str | None = None,
        ending_before: str | None = None,
        cursor: str | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Pager[VerificationSession]:
        """List sessions, newest first.

        https://docs.stripe.com/api/identity/verification_sessions/list

        Args:
            client_reference_id: Only those with your own id.
            created: Only those made in this range, or at this very second.
            related_customer: Only those of a customer.
            related_customer_account: Only those of an account that is a customer.
            status: Only those in this status.
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
        params = {
            "client_reference_id": client_reference_id,
            "created": created,
            "related_customer": related_customer,
            "related_customer_account": related_customer_account,
            "status": status,
            "expand": expand,
        }
        paging = Paging(limit, max_items, starting_after, ending_before, cursor)
        return self._list(self._LIST, params, paging, request_options)

    async def cancel(
        self,
        session: str,
        *,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> VerificationSession:
        """End a session that still requires input; this cannot be undone.

        https://docs.stripe.com/api/identity/verification_sessions/cancel

        Args:
            session: Its id (`vs_...`).
            expand: Fields to expand.
            request_options: Options of this call.

        Raises:
            InvalidRequestError: The session is past that.
        """
        return await self._call(self._CANCEL, {"expand": expand}, request_options, session=session)

    async def redact(
        self,
        session: str,
        *,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> VerificationSession:
        """Have everything that was collected in a session removed; this cannot be undone.

        It takes up to four days; `redaction.status` tells how far it is.

        https://docs.stripe.com/api/identity/verification_sessions/redact

        Args:
            session: Its id (`vs_...`).
            expand: Fields to expand.
            request_options: Options of this call.

        Raises:
            InvalidRequestError: The session is being processed.
        """
        return await self._call(self._REDACT, {"expand": expand}, request_options, session=session)


class VerificationReports(Resource):
    """Calls on verification reports."""

    _RETRIEVE = Endpoint("GET", "/v1/identity/verification_reports/{report}", VerificationReport)
    _LIST = Endpoint("GET", "/v1/identity/verification_reports", Page[VerificationReport])

    async def retrieve(
        self,
        report: str,
        *,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> VerificationReport:
        """Return a report.

        https://docs.stripe.com/api/identity/verification_reports/retrieve

        Args:
            report: Its id (`vr_...`).
            expand: Fields to expand, such as `["document.number"]` with a restricted key.
            request_options: Options of this call.

        Raises:
            NotFoundError: There is no such report.
        """
        return await self._call(self._RETRIEVE, {"expand": expand}, request_options, report=report)

    def list(
        self,
        *,
        client_reference_id: str | None = None,
        created: Created | datetime | None = None,
        type: VerificationType | None = None,
        verification_session: str | None = None,
        limit: int | None = None,
        max_items: int | None = None,
        starting_after: str | None = None,
        ending_before: str | None = None,
        cursor: str | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Pager[VerificationReport]:
        """List reports, newest first.

        https://docs.stripe.com/api/identity/verification_reports/list

        Args:
            client_reference_id: Only those with your own id.
            created: Only those made in this range, or at this very second.
            type: Only those of this type.
            verification_session: Only those of a session (`vs_...`).
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
        params = {
            "client_reference_id": client_reference_id,
            "created": created,
            "type": type,
            "verification_session": verification_session,
            "expand": expand,
        }
        paging = Paging(limit, max_items, starting_after, ending_before, cursor)
        return self._list(self._LIST, params, paging, request_options)


class Identity:
    """The resources of Identity: verifications of people, and what they found."""

    def __init__(self, send: Sender) -> None:
        self.verification_sessions = VerificationSessions(send)
        self.verification_reports = VerificationReports(send)

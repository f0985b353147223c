"""Identity: verify that people are who they say they are.

A session is the verification of one person, over all their attempts. Create it, send the person
to its `url`, and read the result when its status is `verified`. Each attempt makes a report.

```python
import asyncio
import pinstripe


async def main() -> None:
    async with pinstripe.AsyncClient() as stripe:
        sessions = stripe.identity.verification_sessions
        session = await sessions.create(type="document", client_reference_id="user-7")
        print(session.id, session.status)  # send the person to `session.url`
        # later, when the person is done
        session = await sessions.retrieve(session.id, expand=["verified_outputs"])
        if session.verified_outputs is not None:
            print(session.verified_outputs.first_name)


asyncio.run(main())
```

Personal data, and secrets that let others act as the person, are left out of every repr; read the
attribute, or use `to_dict`. A date of which parts are missing or redacted has None as its `date`.

https://docs.stripe.com/api/identity/verification_sessions
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from typing import Literal

from pinstripe._config.options import RequestOptions
from pinstripe._core.checks import check_id, check_mapping
from pinstripe._core.errors import ConfigurationError
from pinstripe._http.messages import Sender
from pinstripe._models.page import Page
from pinstripe._models.record import Listed, Private, Record, model
from pinstripe._resources.endpoint import Endpoint
from pinstripe._resources.identity_params import (
    CheckStatus,
    DocumentOptionsParam,
    DocumentType,
    IdNumberType,
    Matching,
    ProvidedDetailsParam,
    RedactionGoal,
    RedactionStatus,
    RelatedPersonParam,
    SessionGoal,
    SessionOptionsParam,
    SessionStatus,
    SessionType,
    Sex,
    VerificationErrorCode,
    VerificationType,
)
from pinstripe._resources.pager import Pager
from pinstripe._resources.resource import Resource
from pinstripe._resources.walk import Created, Paging

# fmt: off
__all__ = [
    "CheckStatus", "DocumentOptionsParam", "DocumentType", "IdNumberType", "Identity",
    "IdentityAddress", "IdentityDate", "IdentityDocumentOptions", "IdentityIdNumberOptions",
    "IdentityMatchingOptions", "IdentityRequireVerification", "Matching", "ProvidedDetailsParam",
    "RedactionGoal", "RedactionStatus", "RelatedPersonParam", "ReportDocument", "ReportEmail",
    "ReportIdNumber", "ReportOptions", "ReportPhone", "ReportSelfie", "SessionGoal",
    "SessionOptionsParam", "SessionStatus", "SessionType", "Sex", "VerificationError",
    "VerificationErrorCode", "VerificationReport", "VerificationReports", "VerificationSession",
    "VerificationSessionOptions", "VerificationSessionProvidedDetails",
    "VerificationSessionRedaction", "VerificationSessionRelatedPerson",
    "VerificationSessionVerifiedOutputs", "VerificationSessions", "VerificationType",
]
# fmt: on


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
    """A calendar date, of which parts can be missing; after redaction it is 1/1/1."""

    day: Private[int | None] = None
    month: Private[int | None] = None
    year: Private[int | None] = None

    @property
    def date(self) -> date | None:
        """The date; None if a part is missing, it does not exist, or it was redacted."""
        if not (self.day and self.month and self.year) or self.year == 1:
            return None
        try:
            return date(self.year, self.month, self.day)
        except ValueError:
            return None


@model
class IdentityDocumentOptions(Record):
    """The options of the check of a document."""

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
    """The options of the check of an id number; the API has none today."""


@model
class IdentityMatchingOptions(Record):
    """How strictly a document must match the provided details."""

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
    """Why an attempt or one of its checks failed; the person has seen the reason."""

    code: VerificationErrorCode | None = None
    reason: str | None = None


@model
class VerificationSessionProvidedDetails(Record):
    """Details of the person that were known before the verification."""

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
    """The verified details of a person.

    `dob` and `id_number` are None unless they were expanded with a restricted key.
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

    `dob`, `expiration_date` and `number` are None unless they were expanded with a restricted
    key; `files` are the ids of the images.
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
    """The check of an id number; a US SSN has only its last four digits here."""

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
    """The result of one attempt at a verification; a check that was not made is None.

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

    Anybody who has `client_secret` or `url` can verify as this person. They are set while the
    status is `requires_input`, and each retrieve returns new ones. `verified_outputs` is None
    unless it was expanded.
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
        client_reference_id: Private[str | None] = None,
        metadata: Private[Mapping[str, str] | None] = None,
        options: SessionOptionsParam | None = None,
        provided_details: Private[ProvidedDetailsParam | None] = None,
        related_customer: str | None = None,
        related_customer_account: str | None = None,
        related_person: RelatedPersonParam | None = None,
        return_url: Private[str | None] = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> VerificationSession:
        """Start the verification of a person, with one session for all attempts.

        https://docs.stripe.com/api/identity/verification_sessions/create

        Args:
            type: What to check; needed unless `verification_flow` is given.
            verification_flow: The flow to follow (`vf_...`), in place of a type.
            client_reference_id: Your own id for the person.
            metadata: Your own data: up to 50 keys.
            options: The options of the checks.
            provided_details: Details of the person that you know.
            related_customer: A customer (`cus_...`).
            related_customer_account: An account that is a customer (`acct_...`).
            related_person: The person of a connected account.
            return_url: The page that the person returns to at the end.
            expand: Fields to expand.
            request_options: Options of this call.
        """
        if type is None and verification_flow is None:
            raise ConfigurationError("type", "is needed if verification_flow is not given")
        if related_person is not None:
            person = check_mapping("related_person", related_person)
            if person.keys() != {"account", "person"}:
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
            NotFoundError: The session does not exist.
        """
        return await self._call(
            self._RETRIEVE, {"expand": expand}, request_options, session=session
        )

    async def update(
        self,
        session: str,
        *,
        type: VerificationType | None = None,
        metadata: Private[Mapping[str, str] | None] = None,
        options: SessionOptionsParam | None = None,
        provided_details: Private[ProvidedDetailsParam | None] = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> VerificationSession:
        """Change a session that still requires input.

        https://docs.stripe.com/api/identity/verification_sessions/update

        Args:
            session: Its id (`vs_...`).
            type: What to check.
            metadata: Merged into the metadata it has; an empty text removes its key.
            options: The options of the checks; `{"document": ""}` unsets them.
            provided_details: Details of the person that you know.
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
        client_reference_id: Private[str | None] = None,
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
            client_reference_id: Only those with this id of your own.
            created: Only those created in this range, or in this second.
            related_customer: Only sessions of this customer.
            related_customer_account: Only sessions of this account that is a customer.
            status: Only sessions with this status.
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
            InvalidRequestError: The session no longer requires input.
        """
        return await self._call(self._CANCEL, {"expand": expand}, request_options, session=session)

    async def redact(
        self,
        session: str,
        *,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> VerificationSession:
        """Remove everything that a session collected; this cannot be undone.

        It takes up to four days; `redaction.status` shows the progress.

        https://docs.stripe.com/api/identity/verification_sessions/redact

        Args:
            session: Its id (`vs_...`).
            expand: Fields to expand.
            request_options: Options of this call.

        Raises:
            InvalidRequestError: The session is being processed.
        """
        return await self._call(self._REDACT, {"expand": expand}, request_options, session=session)

    async def wait(
        self,
        session: str,
        *,
        until: SessionGoal | Collection[SessionGoal],
        timeout: float,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> VerificationSession:
        """Wait until a session has a status, and return it.

        It retrieves the session again and again, with longer and longer pauses up to a minute. An
        event about it that a `Router` of this process receives ends the pause. A status that
        lasts less than a pause can be missed, so name those behind `processing` too.

        Args:
            session: Its id (`vs_...`).
            until: The status to wait for, or several.
            timeout: Seconds to wait at most; `math.inf` waits without an end.
            expand: Fields to expand.
            request_options: Options of each call.

        Raises:
            GoalUnreachable: The session can no longer come to it, as after a cancellation.
            WaitTimedOut: The time is over.
            NotFoundError: The session does not exist.
        """
        from pinstripe._resources.waiting import SESSION, wait_until  # noqa: PLC0415 -- few wait

        id = check_id("session", session)
        retrieve = partial(self.retrieve, id, expand=expand, request_options=request_options)
        return await wait_until(SESSION, id, retrieve, until, timeout)

    async def wait_for_redaction(
        self,
        session: str,
        *,
        until: RedactionGoal | Collection[RedactionGoal] = "redacted",
        timeout: float,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> VerificationSession:
        """Wait until the redaction of a session has a status, and return the session.

        It polls as `wait` does. `redact` begins a redaction, which can take four days.

        Args:
            session: Its id (`vs_...`).
            until: The status to wait for, or several.
            timeout: Seconds to wait at most; `math.inf` waits without an end.
            expand: Fields to expand.
            request_options: Options of each call.

        Raises:
            GoalUnreachable: The session is redacted, and that was not the goal.
            WaitTimedOut: The time is over.
            NotFoundError: The session does not exist.
        """
        from pinstripe._resources.waiting import REDACTION, wait_until  # noqa: PLC0415 -- few wait

        id = check_id("session", session)
        retrieve = partial(self.retrieve, id, expand=expand, request_options=request_options)
        return await wait_until(REDACTION, id, retrieve, until, timeout)


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
            NotFoundError: The report does not exist.
        """
        return await self._call(self._RETRIEVE, {"expand": expand}, request_options, report=report)

    def list(
        self,
        *,
        client_reference_id: Private[str | None] = None,
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
            client_reference_id: Only those with this id of your own.
            created: Only those created in this range, or in this second.
            type: Only reports of this type.
            verification_session: Only reports of this session (`vs_...`).
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
    """The resources of Identity.

    Attributes:
        verification_sessions: Verifications of people.
        verification_reports: The results of their attempts.
    """

    def __init__(self, send: Sender) -> None:
        self.verification_sessions = VerificationSessions(send)
        self.verification_reports = VerificationReports(send)

"""Vocabularies and parameter types of Identity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from typing_extensions import TypedDict

# Vocabularies are open: an answer can have a word that is newer than this version, so each type
# also admits every other text.

VerificationType: TypeAlias = Literal["document", "id_number"] | str
"""What a session without a flow checks."""

SessionType: TypeAlias = Literal["document", "id_number", "verification_flow"] | str
"""What a session or report checks."""

SessionStatus: TypeAlias = Literal["canceled", "processing", "requires_input", "verified"] | str
"""The status of a session."""

SessionGoal: TypeAlias = Literal["canceled", "processing", "requires_input", "verified"]
"""A status that `wait` can wait for."""

DocumentType: TypeAlias = Literal["driving_license", "id_card", "passport"] | str
"""The kind of an identity document."""

IdNumberType: TypeAlias = Literal["br_cpf", "sg_nric", "us_ssn"] | str
"""The kind of an id number."""

Sex: TypeAlias = Literal["[redacted]", "female", "male", "unknown"] | str
"""The sex in a document."""

CheckStatus: TypeAlias = Literal["unverified", "verified"] | str
"""The result of one check of a report."""

RedactionStatus: TypeAlias = Literal["processing", "redacted", "validated"] | str
"""The progress of a redaction."""

RedactionGoal: TypeAlias = Literal["processing", "redacted", "validated"]
"""A status of a redaction that `wait_for_redaction` can wait for."""

Matching: TypeAlias = Literal["none", "similar"] | str
"""How strictly a value must match the provided details."""

# fmt: off
VerificationErrorCode: TypeAlias = Literal[
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


class DocumentOptionsParam(TypedDict, total=False):
    """The options of the check of a document."""

    allowed_types: Sequence[DocumentType]
    require_id_number: bool
    require_live_capture: bool
    require_matching_selfie: bool


class SessionOptionsParam(TypedDict, total=False):
    """The options of the checks of a session; an empty text unsets `document`."""

    document: DocumentOptionsParam | Literal[""]


class ProvidedDetailsParam(TypedDict, total=False):
    """Details of the person that you know."""

    email: str
    phone: str


class RelatedPersonParam(TypedDict):
    """The person of a connected account that is verified."""

    account: str
    person: str

"""Verification sessions and reports over HTTP, with the driver as the person."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from pinstripe.sandbox import ManualClock, Refusal, Server
from pinstripe.sandbox._identity.people import ERROR_REASONS, GROUP_OF, checks_of
from tests.sandbox.conftest import NOW
from tests.support.sandbox_api import REPORTS, SESSIONS, Api

pytestmark = pytest.mark.anyio

ALWAYS = {
    "id",
    "object",
    "client_reference_id",
    "client_secret",
    "created",
    "last_error",
    "last_verification_report",
    "livemode",
    "metadata",
    "options",
    "provided_details",
    "redaction",
    "related_customer",
    "related_customer_account",
    "status",
    "type",
    "url",
}
OUTPUTS = {
    "address",
    "email",
    "first_name",
    "id_number_type",
    "last_name",
    "phone",
    "sex",
    "unparsed_place_of_birth",
    "unparsed_sex",
}
DOCUMENT = {
    "address",
    "error",
    "files",
    "first_name",
    "issued_date",
    "issuing_country",
    "last_name",
    "status",
    "type",
}
SHOWN_TO_ALL = {"sex", "unparsed_place_of_birth", "unparsed_sex"}


async def test_a_new_session_has_every_field_of_the_api(api: Api, server: Server) -> None:
    session = await api.session_of()
    assert session.keys() == ALWAYS
    assert session["object"] == "identity.verification_session"
    assert session["id"].startswith("vs_")
    assert session["client_secret"].startswith(session["id"] + "_secret_")
    assert session["url"].startswith(f"{server.url}/_sandbox/verify/test_")
    assert (session["created"], session["livemode"]) == (int(NOW), False)
    assert (session["status"], session["type"]) == ("requires_input", "document")
    assert session["options"] == {"document": {}}
    assert session["metadata"] == {}


async def test_what_was_sent_comes_back(api: Api) -> None:
    session = await api.ok(
        "POST",
        SESSIONS,
        {
            "type": "document",
            "client_reference_id": "loan-1",
            "metadata[desk]": "north",
            "metadata[gone]": "",
            "options[document][allowed_types][0]": "passport",
            "options[document][allowed_types][1]": "id_card",
            "options[document][require_live_capture]": "true",
            "provided_details[email]": "a@b.example",
            "related_customer": "cus_1",
            "related_person[account]": "acct_1",
            "related_person[person]": "person_1",
            "return_url": "https://shop.example/back",
        },
    )
    assert session["client_reference_id"] == "loan-1"
    assert session["metadata"] == {"desk": "north"}
    assert session["options"] == {
        "document": {"allowed_types": ["passport", "id_card"], "require_live_capture": True}
    }
    assert session["provided_details"] == {"email": "a@b.example"}
    assert session["related_customer"] == "cus_1"
    assert session["related_person"] == {"account": "acct_1", "person": "person_1"}


async def test_other_types_have_options_of_their_own(api: Api) -> None:
    number = await api.session_of(type="id_number")
    assert number["options"] == {"id_number": {}}
    flow = await api.ok("POST", SESSIONS, {"verification_flow": "vf_1"})
    assert (flow["type"], flow["verification_flow"]) == ("verification_flow", "vf_1")
    assert flow["options"].keys() == {"document", "email", "id_number", "matching", "phone"}


@pytest.mark.parametrize(
    ("data", "param", "code"),
    [
        ({}, "type", "parameter_missing"),
        ({"type": "selfie"}, "type", None),
        (
            {"type": "document", "options[email][require_verification]": "true"},
            "options[email]",
            "parameter_unknown",
        ),
        (
            {"type": "document", "options[document][allowed_types][]": "visa"},
            "options[document][allowed_types][0]",
            None,
        ),
        (
            {"type": "document", "related_person[account]": "acct_1"},
            "related_person[person]",
            "parameter_missing",
        ),
        ({"type": "document", "return_url": "shop"}, "return_url", "url_invalid"),
        ({"type": "document", "return_url": "https://a b"}, "return_url", "url_invalid"),
        ({"type": "document", "return_url": "https://"}, "return_url", "url_invalid"),
        (
            {"type": "document", "provided_details[email]": "nobody"},
            "provided_details[email]",
            "email_invalid",
        ),
        ({"type": "document", "expand[]": "metadata"}, "expand", None),
    ],
)
async def test_creations_that_are_refused(
    api: Api, data: dict[str, str], param: str, code: str | None
) -> None:
    reply = await api("POST", SESSIONS, data)
    assert reply.status == 400
    assert (reply.error["param"], reply.error.get("code")) == (param, code)
    if code:
        assert reply.error["doc_url"].endswith(code.replace("_", "-"))


async def test_each_retrieve_gives_a_fresh_secret_while_input_is_awaited(
    api: Api, server: Server
) -> None:
    session = await api.session_of()
    path = f"{SESSIONS}/{session['id']}"
    seen = [await api.ok("GET", path) for _ in range(3)]
    assert len({shown["client_secret"] for shown in [session, *seen]}) == 4
    assert len({shown["url"] for shown in [session, *seen]}) == 4
    server.identity.submit(session["id"])
    assert (await api.ok("GET", path))["client_secret"] is None


@pytest.mark.parametrize("path", [f"{SESSIONS}/vs_none", f"{REPORTS}/vr_none"])
async def test_missing_ids(api: Api, path: str) -> None:
    reply = await api("GET", path)
    assert (reply.status, reply.error["code"]) == (404, "resource_missing")
    assert reply.error["param"] in ("session", "report")


async def test_updates_merge_and_clear(api: Api) -> None:
    session = await api.session_of(
        **{
            "metadata[a]": "1",
            "metadata[b]": "2",
            "provided_details[email]": "a@b.example",
            "options[document][require_id_number]": "true",
        }
    )
    path = f"{SESSIONS}/{session['id']}"
    changed = await api.ok(
        "POST",
        path,
        {
            "metadata[b]": "",
            "metadata[c]": "3",
            "provided_details[phone]": "+15555550100",
        },
    )
    assert changed["metadata"] == {"a": "1", "c": "3"}
    assert changed["provided_details"] == {"email": "a@b.example", "phone": "+15555550100"}
    assert changed["options"] == {"document": {"require_id_number": True}}
    changed = await api.ok(
        "POST",
        path,
        {
            "metadata": "",
            "options[document]": "",
            "provided_details[email]": "",
            "provided_details[phone]": "",
        },
    )
    assert (changed["metadata"], changed["provided_details"]) == ({}, None)
    assert changed["options"] == {"document": {}}
    changed = await api.ok("POST", path, {"type": "id_number"})
    assert (changed["type"], changed["options"]) == ("id_number", {"id_number": {}})


async def test_only_metadata_changes_later(api: Api, server: Server) -> None:
    session = await api.session_of()
    path = f"{SESSIONS}/{session['id']}"
    server.identity.verify(session["id"])
    assert (await api.ok("POST", path, {"metadata[a]": "1"}))["metadata"] == {"a": "1"}
    for data in ({"type": "document"}, {"options[document]": ""}, {"provided_details[email]": ""}):
        assert (await api("POST", path, data)).error["code"] == "status_transition_invalid"
    for name in ("client_reference_id", "verification_flow", "related_customer", "return_url"):
        assert (await api("POST", path, {name: "x"})).error["code"] == "parameter_unknown"


async def test_a_verified_session_shows_its_outputs_when_asked(api: Api, server: Server) -> None:
    session = await api.session_of(**{"options[document][require_matching_selfie]": "true"})
    driven = server.identity.verify(session["id"])
    path = f"{SESSIONS}/{session['id']}"
    plain = await api.ok("GET", path)
    assert plain == driven
    assert plain.keys() == ALWAYS
    assert plain["last_verification_report"].startswith("vr_")
    shown = await api.ok(
        "GET", path + "?expand[]=verified_outputs&expand[]=last_verification_report"
    )
    report = shown["last_verification_report"]
    assert shown["verified_outputs"].keys() == OUTPUTS
    assert report["document"].keys() == DOCUMENT | SHOWN_TO_ALL
    assert report["selfie"].keys() == {"document", "error", "selfie", "status"}
    assert report["verification_session"] == session["id"]
    assert report["document"]["first_name"] == shown["verified_outputs"]["first_name"]
    alone = await api.ok("GET", f"{REPORTS}/{report['id']}")
    assert alone["document"].keys() == DOCUMENT
    asked = await api.ok("GET", f"{REPORTS}/{report['id']}?expand[]=document.sex")
    assert asked["document"].keys() == DOCUMENT | {"sex"}


RESTRICTED = (
    "verified_outputs.dob",
    "verified_outputs.id_number",
    "last_verification_report.document.dob",
    "last_verification_report.document.number",
    "last_verification_report.id_number.id_number",
    "last_verification_report.document.expiration_date",
    "last_verification_report.id_number.dob",
)


async def test_restricted_fields_are_for_restricted_keys(
    api: Api, restricted: Api, server: Server
) -> None:
    session = await api.session_of(**{"options[document][require_id_number]": "true"})
    server.identity.verify(session["id"], outputs={"dob": {"day": 1, "month": 2, "year": 1990}})
    path = f"{SESSIONS}/{session['id']}"
    for field in RESTRICTED:
        reply = await api("GET", f"{path}?expand[]={field}")
        assert (reply.status, reply.error["type"]) == (403, "invalid_request_error")
    shown = await restricted.ok("GET", path + "?" + "&".join(f"expand[]={f}" for f in RESTRICTED))
    assert shown["verified_outputs"].keys() == OUTPUTS | {"dob", "id_number"}
    assert shown["verified_outputs"]["dob"] == {"day": 1, "month": 2, "year": 1990}
    report = shown["last_verification_report"]
    assert report["document"].keys() == DOCUMENT | SHOWN_TO_ALL | {
        "dob",
        "number",
        "expiration_date",
    }
    assert report["id_number"]["id_number"] == "000000000"
    listed = await restricted.ok("GET", f"{SESSIONS}?expand[]=data.verified_outputs.dob")
    assert "dob" in listed["data"][0]["verified_outputs"]
    unasked = await restricted.ok("GET", path + "?expand[]=verified_outputs")
    assert unasked["verified_outputs"].keys() == OUTPUTS


@pytest.mark.parametrize(
    "field",
    [
        "",
        "nope",
        "verified_outputs.nope",
        "last_verification_report.document",
        "verified_outputs.",
        "data.verified_outputs",
        "a.b.c.d.e",
        "last_verification_report.document.dob.day",
    ],
)
async def test_expansions_that_are_refused(restricted: Api, server: Server, field: str) -> None:
    session = await restricted.session_of()
    reply = await restricted("GET", f"{SESSIONS}/{session['id']}?expand[]={field}")
    assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")


async def test_lists_expand_below_data_only(api: Api) -> None:
    refused = await api("GET", f"{SESSIONS}?expand[]=verified_outputs")
    assert (refused.status, refused.error["param"]) == (400, "expand")
    assert refused.error["message"].endswith(" Expand data.verified_outputs instead.")
    plain = await api.ok("GET", SESSIONS)
    assert await api.ok("GET", f"{SESSIONS}?expand[]=data") == plain
    await api.session_of()
    listed = await api.ok("GET", f"{SESSIONS}?expand[]=data.verified_outputs")
    assert listed["data"][0]["verified_outputs"] is None
    assert (await api("GET", "/v1/crypto/onramp/quotes?expand[]=x")).error["param"] == "expand"


async def test_an_expansion_works_on_a_post(api: Api) -> None:
    session = await api.session_of(**{"expand[]": "verified_outputs"})
    assert session["verified_outputs"] is None


ALL_CHECKS = {
    "options[document][require_matching_selfie]": "true",
    "options[document][require_id_number]": "true",
}
FLOW = {"verification_flow": "vf_1"}


@pytest.mark.parametrize("code", sorted(GROUP_OF))
async def test_every_failure_has_its_error(api: Api, server: Server, code: str) -> None:
    group = GROUP_OF[code]
    session = await api.session_of(**(FLOW if group in ("email", "phone") else ALL_CHECKS))
    failed = server.identity.fail(session["id"], code)
    assert failed["status"] == "requires_input"
    assert failed["last_error"] == {"code": code, "reason": ERROR_REASONS[group][code]}
    assert failed["client_secret"] is not None
    if group == "session":
        assert failed["last_verification_report"] is None
        return
    report = await api.ok("GET", f"{REPORTS}/{failed['last_verification_report']}")
    made = {name for name in ERROR_REASONS if name in report}
    assert made == set(checks_of(session))
    for name in made:
        error = report[name]["error"]
        assert report[name]["status"] == ("unverified" if name == group else "verified")
        assert (error and error["code"]) == (code if name == group else None)


@pytest.mark.parametrize(
    ("data", "codes"),
    [
        ({}, {"document"}),
        ({"type": "id_number"}, {"id_number"}),
        ({"options[document][require_matching_selfie]": "true"}, {"document", "selfie"}),
        (ALL_CHECKS, {"document", "selfie", "id_number"}),
        (FLOW, {"document", "id_number", "email", "phone"}),
    ],
)
async def test_a_session_fails_with_codes_of_its_own_checks_only(
    api: Api, server: Server, data: dict[str, str], codes: set[str]
) -> None:
    fit = {code for code, group in GROUP_OF.items() if group in {"session", *codes}}
    if data.get("type") == "id_number":
        fit.remove("id_number_insufficient_document_data")
    for code in sorted(GROUP_OF):
        id = (await api.session_of(**data))["id"]
        path = f"/_sandbox/identity/verification_sessions/{id}/fail"
        reply = await api("POST", path, {"code": code})
        assert reply.status == (200 if code in fit else 400), code
        if code not in fit:
            assert reply.error["param"] == "code"
            assert (await api.ok("GET", f"{SESSIONS}/{id}"))["last_error"] is None


@pytest.mark.parametrize("allowed", [(), ("passport",), ("driving_license", "id_card")])
async def test_the_report_agrees_with_the_code(
    api: Api, restricted: Api, server: Server, clock: ManualClock, allowed: tuple[str, ...]
) -> None:
    options = {
        f"options[document][allowed_types][{place}]": name for place, name in enumerate(allowed)
    }
    session = await api.session_of(**ALL_CHECKS, **options)
    hidden = ("document.dob", "document.expiration_date", "id_number.dob")

    async def report_after(code: str) -> Any:
        id = server.identity.fail(session["id"], code)["last_verification_report"]
        expand = "&".join(f"expand[]={field}" for field in hidden)
        return await restricted.ok("GET", f"{REPORTS}/{id}?{expand}")

    def is_past(date: dict[str, int]) -> bool:
        return datetime(**date, tzinfo=timezone.utc).timestamp() < clock()

    document = (await report_after("document_expired"))["document"]
    assert is_past(document["expiration_date"])
    assert document["issued_date"]["year"] < document["expiration_date"]["year"]
    document = (await report_after("document_type_not_supported"))["document"]
    assert document["type"] not in allowed
    assert (document["type"] is None) == (not allowed)
    assert not is_past(document["expiration_date"])
    report = await report_after("id_number_insufficient_document_data")
    assert report["document"]["dob"] is report["id_number"]["dob"] is None
    document = (await report_after("selfie_face_mismatch"))["document"]
    assert document["type"] == (allowed or ("passport",))[0]
    assert document["dob"]["year"] > 1900


async def test_the_person_of_a_session_stays_the_same(api: Api, server: Server) -> None:
    names = set()
    for _ in range(20):
        id = (await api.session_of())["id"]
        failed = server.identity.fail(id, "document_unverified_other")
        verified = server.identity.verify(id)
        first = await api.ok("GET", f"{REPORTS}/{failed['last_verification_report']}")
        second = await api.ok("GET", f"{REPORTS}/{verified['last_verification_report']}")
        assert first["document"]["last_name"] == second["document"]["last_name"]
        names.add(first["document"]["last_name"])
    assert len(names) > 1


async def test_a_failure_while_processing_keeps_the_report_of_each_attempt(
    api: Api, server: Server
) -> None:
    session = await api.session_of(**ALL_CHECKS)
    server.identity.submit(session["id"])
    first = server.identity.fail(session["id"], "document_expired", reason="Too old.")
    assert first["last_error"]["reason"] == "Too old."
    second = server.identity.fail(session["id"], "selfie_manipulated")
    passed = server.identity.verify(session["id"])
    assert passed["last_error"] is None
    reports = await api.ok("GET", f"{REPORTS}?verification_session={session['id']}")
    assert [report["id"] for report in reports["data"]] == [
        value["last_verification_report"] for value in (passed, second, first)
    ]


async def test_giving_up_while_processing_is_a_failure_without_a_report(
    api: Api, server: Server
) -> None:
    session = await api.session_of()
    server.identity.submit(session["id"])
    assert server.identity.fail(session["id"], "abandoned")["last_verification_report"] is None


async def test_flows_check_what_was_provided(api: Api, server: Server) -> None:
    session = await api.ok(
        "POST",
        SESSIONS,
        {
            "verification_flow": "vf_1",
            "provided_details[email]": "a@b.example",
            "provided_details[phone]": "+15555550100",
        },
    )
    server.identity.verify(session["id"])
    shown = await api.ok(
        "GET",
        f"{SESSIONS}/{session['id']}?expand[]=verified_outputs&expand[]=last_verification_report",
    )
    outputs, report = shown["verified_outputs"], shown["last_verification_report"]
    assert (outputs["email"], outputs["phone"]) == ("a@b.example", "+15555550100")
    assert report["email"] == {"email": "a@b.example", "error": None, "status": "verified"}
    assert report["phone"]["phone"] == "+15555550100"
    assert report["verification_flow"] == "vf_1"
    assert report["options"].keys() == {"document", "id_number"}


async def test_the_driver_takes_other_data(restricted: Api, server: Server) -> None:
    session = await restricted.session_of()
    outputs = {"first_name": "Quill", "address": {"city": "Elsewhere", "line2": None}, "sex": None}
    server.identity.verify(
        session["id"], outputs=outputs, document={"number": "N1", "expiration_date": {"year": 2040}}
    )
    shown = await restricted.ok(
        "GET",
        f"{SESSIONS}/{session['id']}?expand[]=verified_outputs"
        "&expand[]=last_verification_report.document.number"
        "&expand[]=last_verification_report.document.expiration_date",
    )
    assert shown["verified_outputs"]["first_name"] == "Quill"
    assert shown["verified_outputs"]["address"]["city"] == "Elsewhere"
    assert shown["verified_outputs"]["address"].keys() == {
        "city",
        "country",
        "line1",
        "line2",
        "postal_code",
        "state",
    }
    assert shown["verified_outputs"]["sex"] is None
    document = shown["last_verification_report"]["document"]
    assert (document["first_name"], document["number"]) == ("Quill", "N1")
    assert document["expiration_date"] == {"day": 30, "month": 6, "year": 2040}
    for bad in ({"nope": 1}, {"dob": {"year": "x"}}, {"address": {"zip": "1"}}):
        with pytest.raises(Refusal):
            server.identity.verify(session["id"], outputs=bad)


async def test_an_address_can_be_absent(api: Api, server: Server) -> None:
    session = await api.session_of()
    server.identity.verify(session["id"], outputs={"address": None})
    await api.ok("POST", f"{SESSIONS}/{session['id']}/redact")
    server.identity.finish_redaction(session["id"])
    shown = await api.ok("GET", f"{SESSIONS}/{session['id']}?expand[]=verified_outputs")
    assert shown["verified_outputs"]["address"] is None


async def redacted(api: Api, server: Server, id: str) -> Any:
    await api.ok("POST", f"{SESSIONS}/{id}/redact")
    server.identity.finish_redaction(id)
    return await api.ok("GET", f"{SESSIONS}/{id}?expand[]=verified_outputs")


async def test_redaction_leaves_placeholders_everywhere(
    api: Api, restricted: Api, server: Server
) -> None:
    marks = {
        "first_name": "Canary",
        "last_name": "Canary",
        "email": "canary@x.example",
        "id_number": "canary",
        "unparsed_sex": "canary",
        "dob": {"year": 1961},
    }
    session = await api.session_of(
        **{
            "metadata[canary]": "1",
            "provided_details[email]": "canary@y.example",
            **FLOW,
        }
    )
    server.identity.fail(session["id"], "email_unverified_other")
    server.identity.fail(session["id"], "phone_unverified_other")
    server.identity.verify(session["id"], outputs=marks, document={"number": "canary"})
    shown = await redacted(restricted, server, session["id"])
    assert (shown["status"], shown["redaction"]) == ("verified", {"status": "redacted"})
    assert (shown["client_secret"], shown["url"], shown["metadata"]) == (None, None, {})
    outputs = shown["verified_outputs"]
    assert outputs["address"]["country"] in ("NL", "US", "GB")
    assert set(outputs["address"].values()) == {outputs["address"]["country"], "[redacted]"}
    assert (outputs["first_name"], outputs["sex"]) == ("[redacted]", "[redacted]")
    assert (outputs["email"], outputs["phone"], outputs["id_number_type"]) == (
        "[redacted]",
        None,
        None,
    )
    reports = await restricted.ok(
        "GET",
        f"{REPORTS}?"
        + "&".join(
            f"expand[]=data.{field}"
            for field in (
                "document.dob",
                "document.number",
                "id_number.dob",
                "id_number.id_number",
                "document.sex",
            )
        ),
    )
    assert len(reports["data"]) == 3
    for report in reports["data"]:
        assert report["document"]["dob"] == {"day": 1, "month": 1, "year": 1}
        assert report["document"]["issued_date"] == {"day": 1, "month": 1, "year": 1}
        assert report["id_number"]["id_number"] == "[redacted]"
    events = await api.ok("GET", "/v1/events?limit=100")
    everything = str([shown, reports, events]).lower()
    assert "canary" not in everything
    assert "1961" not in everything


async def test_redaction_takes_its_time_by_the_clock(
    api: Api, server: Server, clock: ManualClock
) -> None:
    session = await api.session_of()
    started = await api.ok("POST", f"{SESSIONS}/{session['id']}/redact")
    assert (started["status"], started["redaction"]) == ("canceled", {"status": "processing"})
    assert (started["client_secret"], started["url"]) == (None, None)
    clock.advance(59)
    shown = await api.ok("GET", f"{SESSIONS}/{session['id']}")
    assert shown["redaction"] == {"status": "processing"}
    clock.advance(1)
    shown = await api.ok("GET", f"{SESSIONS}/{session['id']}")
    assert shown["redaction"] == {"status": "redacted"}
    types = [
        event["type"].rpartition(".")[2] for event in (await api.ok("GET", "/v1/events"))["data"]
    ]
    assert types == ["redacted", "canceled", "created"]


async def test_a_redaction_that_was_finished_by_hand_is_not_finished_again(
    api: Api, server: Server, clock: ManualClock
) -> None:
    session = await api.session_of()
    await redacted(api, server, session["id"])
    clock.advance(3600)
    events = await api.ok("GET", "/v1/events?type=identity.verification_session.redacted")
    assert len(events["data"]) == 1


async def test_lists_filter_and_page(api: Api, server: Server, clock: ManualClock) -> None:
    ids = []
    for number in range(7):
        session = await api.session_of(
            client_reference_id=f"r{number % 2}", related_customer="cus_1"
        )
        ids.insert(0, session["id"])
        clock.advance(10)
    server.identity.verify(ids[0])
    start = int(NOW)

    async def listed(query: str) -> list[int]:
        page = await api.ok("GET", f"{SESSIONS}?{query}")
        assert (page["object"], page["url"]) == ("list", SESSIONS)
        return [ids.index(session["id"]) for session in page["data"]]

    assert await listed("") == [0, 1, 2, 3, 4, 5, 6]
    assert await listed("limit=2") == [0, 1]
    assert await listed(f"limit=2&starting_after={ids[1]}") == [2, 3]
    assert await listed(f"limit=2&ending_before={ids[4]}") == [2, 3]
    assert await listed("client_reference_id=r1") == [1, 3, 5]
    assert await listed("client_reference_id=r1&status=verified") == []
    assert await listed("status=verified&related_customer=cus_1") == [0]
    assert await listed("related_customer=cus_2") == []
    assert await listed("related_customer_account=acct_1") == []
    assert await listed(f"created={start + 20}") == [4]
    assert await listed(f"created[gt]={start + 20}&created[lte]={start + 40}") == [2, 3]
    assert await listed(f"created[gte]={start + 20}&created[lt]={start + 40}&limit=1") == [3]
    pages = [
        await api.ok("GET", f"{SESSIONS}?{query}")
        for query in (
            f"limit=2&starting_after={ids[4]}",
            f"limit=2&starting_after={ids[3]}",
            f"limit=2&ending_before={ids[2]}",
            f"limit=2&ending_before={ids[3]}",
        )
    ]
    assert [page["has_more"] for page in pages] == [False, True, False, True]


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ("starting_after=vs_none", "starting_after", "resource_missing"),
        ("ending_before=vs_none", "ending_before", "resource_missing"),
        ("limit=many", "limit", "parameter_invalid_integer"),
        ("status=done", "status", None),
        ("created[since]=1", "created[since]", "parameter_unknown"),
        ("total_count=true", "total_count", "parameter_unknown"),
    ],
)
async def test_lists_that_are_refused(api: Api, query: str, param: str, code: str | None) -> None:
    reply = await api("GET", f"{SESSIONS}?{query}")
    assert (reply.status, reply.error["param"], reply.error.get("code")) == (400, param, code)


async def test_a_list_takes_one_cursor(api: Api) -> None:
    reply = await api("GET", f"{SESSIONS}?starting_after=a&ending_before=b")
    assert reply.status == 400
    assert reply.error == {
        "message": "You may only specify one of starting_after and ending_before.",
        "type": "invalid_request_error",
    }


async def test_a_limit_out_of_range_counts_as_the_nearest(api: Api, server: Server) -> None:
    server.identity.seed(102)
    for limit, count in (("-5", 1), ("0", 1), ("100", 100), ("101", 100), ("9" * 18, 100)):
        page = await api.ok("GET", f"{SESSIONS}?limit={limit}")
        assert (len(page["data"]), page["has_more"]) == (count, True)


async def test_reports_are_listed(api: Api, server: Server) -> None:
    for kind in ("document", "id_number"):
        session = await api.session_of(type=kind, client_reference_id=kind)
        server.identity.verify(session["id"])
    for query in ("type=document", "client_reference_id=document"):
        page = await api.ok("GET", f"{REPORTS}?{query}")
        assert [report["type"] for report in page["data"]] == ["document"]
    number = (await api.ok("GET", f"{REPORTS}?type=id_number"))["data"][0]
    assert "document" not in number
    assert number["id_number"]["status"] == "verified"
    assert (await api("GET", f"{REPORTS}?type=verification_flow")).status == 400


async def test_the_store_does_not_hang_on_what_the_driver_returned(
    api: Api, server: Server
) -> None:
    session = await api.session_of()
    server.identity.submit(session["id"])["options"]["document"]["allowed_types"] = ["passport"]
    assert (await api.ok("GET", f"{SESSIONS}/{session['id']}"))["options"] == {"document": {}}

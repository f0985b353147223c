"""Tests of the usual way that hold over aiohttp's session too; `nox -s seam` runs all of them."""

from __future__ import annotations

import os
import sys

import anyio
import pytest

from tests import test_faults
from tests.config.test_tls import (  # noqa: F401 -- run here over the session
    folder,
    test_a_bad_certificate_is_refused_once,
    test_a_given_authority_is_trusted,
    test_a_proxy_that_refuses_is_named_with_its_status,
    test_no_redirect_leads_out_of_tls,
    test_plain_http_through_a_proxy_if_it_is_allowed,
    test_requests_go_through_a_proxy,
    test_the_time_to_connect_covers_the_proxy_and_tls,
)
from tests.http.test_transport import (  # noqa: F401 -- as above
    KEY,
    test_a_body_is_read_up_to_a_limit,
    test_a_body_of_exactly_the_limit_is_read,
    test_a_body_that_is_or_may_be_cut_is_never_a_value,
    test_a_cancelled_call_leaves_no_connection,
    test_a_client_that_is_dropped_closes_its_connections,
    test_a_closed_client_refuses_calls,
    test_a_connection_closed_while_idle_costs_no_attempt,
    test_a_connection_ended_before_it_was_used,
    test_a_connection_that_is_never_made,
    test_a_delete_is_not_repeated_behind_our_back,
    test_bytes_that_nobody_asked_for_are_not_the_next_answer,
    test_closing_ends_a_call_at_any_stage,
    test_closing_ends_many_calls_and_waits_for_none,
    test_connections_are_kept_and_shared,
    test_connections_are_kept_if_sockets_cannot_be_polled,
    test_cookies_are_not_kept,
    test_no_redirect_is_followed,
    test_nobody_listens,
    test_one_client_serves_loop_after_loop,
    test_only_the_start_of_a_failure_is_read,
    test_proxies_and_netrc_are_left_alone,
    test_the_headers_of_a_request_replace_those_of_its_route,
    test_two_answers_to_one_request,
    test_what_could_end_a_line_of_the_head_is_not_sent,
    test_what_every_request_carries,
)
from tests.resources.test_transfer import (  # noqa: F401 -- as above
    big,
    test_a_cut_download_begins_anew,
    test_a_disk_that_breaks_while_it_is_read,
    test_a_refusal_before_the_end_of_the_body,
    test_an_upload_that_is_cut_is_sent_anew_with_the_same_key,
    test_an_upload_that_is_given_up_closes_its_file,
    test_what_is_downloaded_is_what_was_sent,
)
from tests.support.changed_aiohttp import use_session
from tests.support.fault_table import BODIES, CONNECTIONS
from tests.support.faulty import Faulty, ok
from tests.test_otel import (  # noqa: F401 -- as above
    backend,
    instrumented,
    test_the_instrumentation_of_aiohttp_sees_none_of_our_requests,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("over_session")]


@pytest.fixture
def over_session(monkeypatch) -> None:
    use_session(monkeypatch)


@test_faults.each([row for row in (*CONNECTIONS, *BODIES[-8:]) if not row.held])
async def test_faults_end_a_call_as_the_table_has_it(row, method) -> None:
    await test_faults.test_a_fault_ends_a_call_as_the_table_has_it_and_harms_no_other(row, method)


FORK = f"""
import gc, os, sys, pytest, pinstripe
from tests.support.changed_aiohttp import use_session
use_session(pytest.MonkeyPatch())
with pinstripe.Client("{KEY}", base_url=sys.argv[1]) as stripe:
    stripe.request("GET", "/v1/x")
    child = os.fork()
    assert stripe.request("GET", "/v1/x").attempts == 1
    if child:
        assert os.waitpid(child, 0)[1] == 0
        assert stripe.request("GET", "/v1/x").attempts == 1
gc.collect()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
async def test_a_fork_leaves_the_connections_of_the_parent_alone() -> None:
    async with Faulty(ok()) as server:
        command = [sys.executable, "-W", "error", "-c", FORK, server.url]
        done = await anyio.run_process(command, check=False)
        assert (done.returncode, done.stderr.count(b"\n")) == (0, 1), done.stderr.decode()
        assert b"public session" in done.stderr
        assert (server.accepted, len(server.requests)) == (2, 4)

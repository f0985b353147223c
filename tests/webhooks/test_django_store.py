"""`DjangoStore` in a project: its views, its app, its transactions and its tests."""

from __future__ import annotations

import asyncio
import threading
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import inspect

from pinstripe import ConfigurationError
from pinstripe.events import Event
from pinstripe.pytest_plugin import SECRET, StripeEvent
from pinstripe.webhooks import DjangoStore, Router, Webhook
from tests.support import django_project
from tests.support.databases import Database

if TYPE_CHECKING:
    from tests.support.postgres import Postgres

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("loop_thread_ends")]

stripe_event = StripeEvent()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    with Database.new(tmp_path / "app.db") as database:
        yield database


class Site:
    """A router whose handler writes, notes its thread, and then does what a test wants."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.store = database.store("django")
        self.router = Router(Webhook(SECRET), self.store)
        self.then: list[Any] = []
        self.threads: list[int] = []
        self.router.on(Event)(self._handle)
        self.event = stripe_event("file.created")

    def _handle(self, event: Event) -> None:
        self.threads.append(threading.get_ident())
        self.database.write_effect(self.store, event.id)
        if self.then:
            self.then.pop(0)()

    def receive(self) -> str:
        return self.router.receive_blocking(self.event.body, self.event.signature).ending

    async def receive_async(self) -> str:
        return (await self.router.receive(self.event.body, self.event.signature)).ending


@pytest.fixture
def site(file: Database) -> Site:
    return Site(file)


# The views


def view_of(site: Site, name: str) -> Any:
    from pinstripe.adapters import django as adapter

    django_project.set_up()
    site.database.alias()
    return getattr(adapter, name)(site.router)


def request_of(site: Site, factory: Any) -> Any:
    headers = {"Stripe-Signature": site.event.signature}
    return factory.post(
        "/webhook", site.event.body, content_type="application/json", headers=headers
    )


def test_a_view_under_wsgi_runs_handlers_in_its_thread(site: Site) -> None:
    from django.test import RequestFactory

    view = view_of(site, "blocking_webhook_view")
    site.then = [lambda: 1 / 0]
    statuses = [view(request_of(site, RequestFactory())).status_code for _ in range(3)]
    assert statuses == [500, 200, 200]
    assert set(site.threads) == {threading.get_ident()}
    assert site.database.effects() == [site.event.id]


async def test_a_view_under_asgi_runs_handlers_in_the_thread_of_the_request(site: Site) -> None:
    from asgiref.sync import ThreadSensitiveContext, sync_to_async
    from django.test import AsyncRequestFactory

    view = view_of(site, "webhook_view")
    async with ThreadSensitiveContext():  # as Django's ASGI handler does for each request
        response = await view(request_of(site, AsyncRequestFactory()))
        assert response.status_code == 200
        assert site.threads == [await sync_to_async(threading.get_ident)()]
    assert site.threads != [threading.get_ident()]
    assert site.database.effects() == [site.event.id]


async def test_a_delivery_in_a_loop_of_its_own_leaves_no_connection_open(site: Site) -> None:
    from asgiref.sync import sync_to_async
    from django.db import connections

    connections_of_thread: list[Any] = []
    site.then = [lambda: connections_of_thread.append(connections[site.database.alias()])]
    assert await asyncio.gather(*[site.receive_async() for _ in range(2)]) == [
        "handled",
        "duplicate",
    ]
    (connection,) = connections_of_thread
    assert connection.connection is None
    assert await sync_to_async(lambda: connections[site.database.alias()])() is connection


# The transaction


def test_a_transaction_around_the_delivery_is_refused(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    from django.db import transaction

    with transaction.atomic(using=site.database.alias()):
        assert site.receive() == "failed"
    assert "leave out that `atomic` block, or ATOMIC_REQUESTS" in caplog.text
    assert site.database.effects() == []
    assert site.receive() == "handled"


def test_a_database_without_autocommit_is_refused(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    from django.db import connections

    connection = connections[site.database.alias()]
    connection.set_autocommit(False)
    assert site.receive() == "failed"
    assert "with AUTOCOMMIT off" in caplog.text
    connection.rollback()
    connection.set_autocommit(True)
    assert site.receive() == "handled"


def test_a_database_of_another_kind_is_refused(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import connections

    monkeypatch.setattr(connections[site.database.alias()], "vendor", "oracle")
    assert site.receive() == "failed"
    assert "MySQL or MariaDB, not oracle" in caplog.text


def test_a_handler_that_wants_a_rollback_fails(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    from django.db import transaction

    site.then = [lambda: transaction.set_rollback(True, using=site.database.alias())]
    assert site.receive() == "failed"
    assert "is to be rolled back" in caplog.text
    assert site.database.effects() == []


def test_parts_of_a_handler_may_fail_and_what_follows_the_commit_comes_after_it(
    site: Site,
) -> None:
    from django.db import transaction

    alias, seen = site.database.alias(), list[list[str]]()

    def fail() -> None:
        with transaction.atomic(using=alias):
            site.database.write_effect(site.store, "undone")
            raise ZeroDivisionError

    def part() -> None:
        with pytest.raises(ZeroDivisionError):
            fail()
        transaction.on_commit(lambda: seen.append(site.database.effects()), using=alias)

    site.then = [part]
    assert site.receive() == "handled"
    assert seen == [[site.event.id]]


def test_what_fails_behind_the_commit_does_not_run_again(site: Site) -> None:
    from django.db import transaction

    alias = site.database.alias()
    site.then = [lambda: transaction.on_commit(lambda: 1 / 0, using=alias)]
    assert [site.receive(), site.receive()] == ["failed", "duplicate"]
    assert site.database.effects() == [site.event.id]


def test_a_connection_that_was_lost_is_replaced(postgres: Postgres) -> None:
    from django.db import connections

    with Database.new(postgres) as database:
        site = Site(database)
        assert site.receive() == "handled"
        with connections[database.alias()].cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        database.run("SELECT pg_terminate_backend(:pid)", pid=pid)
        site.event = stripe_event("file.created")
        assert [site.receive(), site.receive()] == ["failed", "handled"]


# A project's own tests


def test_in_the_transaction_of_a_test(site: Site) -> None:
    from django.test import TestCase

    alias = site.database.alias()

    class Tests(TestCase):
        databases = {alias}

        def test_once(self) -> None:
            assert [site.receive(), site.receive()] == ["handled", "duplicate"]

        async def test_async(self) -> None:
            endings = [await site.receive_async() for _ in range(2)]
            assert endings == ["handled", "duplicate"]

    result = unittest.TestResult()
    unittest.TestSuite([Tests("test_once"), Tests("test_async")])(result)
    assert result.testsRun == 2
    assert result.wasSuccessful(), result.errors + result.failures
    assert site.database.effects() == []  # a test is rolled back


# The app


def test_the_app_has_its_migration(capsys: pytest.CaptureFixture[str]) -> None:
    from django.core.management import call_command

    django_project.set_up()
    call_command("makemigrations", "--check", "--dry-run", "pinstripe")
    assert "No changes" in capsys.readouterr().out


def test_the_migration_makes_the_tables_of_the_other_stores(file: Database) -> None:
    from django.core.management import call_command

    def tables() -> Any:
        found = inspect(file.engine)
        names = ["pinstripe_events", "pinstripe_subjects"]
        columns = {name: [one["name"] for one in found.get_columns(name)] for name in names}
        indexes = {name: [one["name"] for one in found.get_indexes(name)] for name in names}
        return columns, indexes

    made = tables()
    for name in made[0]:
        file.run(f"DROP TABLE {name}")
    alias = file.alias()
    call_command("migrate", "pinstripe", database=alias, verbosity=0)
    assert tables() == made
    call_command("migrate", "pinstripe", "zero", database=alias, verbosity=0)
    assert not inspect(file.engine).has_table("pinstripe_events")


def test_models_are_shown_by_their_ids() -> None:
    django_project.set_up()
    from pinstripe.webhooks.django.models import WebhookEvent, WebhookSubject

    assert [str(WebhookEvent(id="evt_1")), str(WebhookSubject(id="vs_1"))] == ["evt_1", "vs_1"]


def test_a_store_is_its_alias() -> None:
    assert DjangoStore() == DjangoStore("default") != DjangoStore("other")
    assert len({DjangoStore(), DjangoStore("default")}) == 1
    assert repr(DjangoStore("other")) == "DjangoStore('other')"
    wrong: Any
    for wrong in ("", None):
        with pytest.raises(ConfigurationError, match="using: must be the alias"):
            DjangoStore(wrong)

"""The Django project of the tests: settings are made once a process, databases come and go."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Every database of the adapters' tests commits what a view did at its end, unless that is exempt.
MEMORY = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "ATOMIC_REQUESTS": True}


def set_up() -> None:
    """Set up Django, unless that was done before."""
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["127.0.0.1"],
            DATABASES={"default": MEMORY, "other": MEMORY},
            INSTALLED_APPS=["pinstripe.webhooks.django"],
            SECRET_KEY="of tests",
            LOGGING_CONFIG=None,
            LOGGING={},
        )
        django.setup()


@contextmanager
def database(settings: dict[str, Any]) -> Iterator[str]:
    """Add a database, and yield its alias."""
    from django.db import connections

    set_up()
    alias = f"db{uuid.uuid4().hex}"
    known = connections.configure_settings({"default": MEMORY, alias: settings})
    connections.settings[alias] = known[alias]
    try:
        yield alias
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.settings[alias]

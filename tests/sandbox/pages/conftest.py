"""Fixtures: a browser, and a tab for each test."""

from tests.support.browser import anyio_backend, browser, tab

__all__ = ["anyio_backend", "browser", "tab"]

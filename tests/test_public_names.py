"""The public names: what each module has, that it is documented, and what it says of itself."""

from __future__ import annotations

import ast
import importlib
import inspect
import pickle
import re
import traceback
import types
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import pinstripe
from pinstripe import PinstripeError, bulk, crypto, events, identity, webhooks
from pinstripe._config import hooks, infos, options, tls
from pinstripe._core import errors
from pinstripe._http import messages

PUBLIC = {
    "APIError",
    "AsyncClient",
    "AuthenticationError",
    "BudgetUnavailable",
    "CallInfo",
    "CertificateError",
    "Client",
    "ConfigurationError",
    "ConflictError",
    "ConnectError",
    "ConnectionLost",
    "Created",
    "DeadlineExceeded",
    "DecodeError",
    "DeliveryInfo",
    "GoalUnreachable",
    "HandledInfo",
    "HandlerInfo",
    "Hooks",
    "IdempotencyError",
    "IncompleteError",
    "InvalidRequestError",
    "Limits",
    "NotFoundError",
    "Page",
    "Pager",
    "PaginationError",
    "PermissionDeniedError",
    "PinstripeError",
    "RateLimit",
    "RateLimitError",
    "ReceiptInfo",
    "Request",
    "RequestInfo",
    "RequestOptions",
    "Response",
    "ResponseError",
    "ResponseInfo",
    "ResponseTooLarge",
    "ResultInfo",
    "RetryInfo",
    "RetryPolicy",
    "ServerError",
    "SharedBudget",
    "SignatureError",
    "TLS",
    "Timeout",
    "Transport",
    "TransportError",
    "UnfitError",
    "WaitError",
    "WaitInfo",
    "WaitTimedOut",
    "__version__",
    "adapters",
    "bulk",
    "climate",
    "converter",
    "crypto",
    "events",
    "export",
    "files",
    "forwarding",
    "from_dict",
    "identity",
    "response_of",
    "sandbox",
    "sketch",
    "sync",
    "testing",
    "to_dict",
    "v2",
    "webhook_endpoints",
    "webhooks",
}

RECEIVING = {
    "REMEMBER_SECONDS",
    "CatchUpReport",
    "Claimed",
    "Delivery",
    "DeliveryResult",
    "DjangoStore",
    "Handler",
    "MemoryStore",
    "Receipt",
    "Received",
    "RedisStore",
    "Router",
    "SQLAlchemyStore",
    "SQLiteStore",
    "Store",
    "Webhook",
    "delivery_of",
    "parse_event",
}


def test_the_names() -> None:
    assert set(pinstripe.__all__) == PUBLIC
    assert len(set(pinstripe.__all__)) == len(pinstripe.__all__)


def seen_by_type_checkers() -> dict[str, str]:
    """The names that the package imports for type checkers, each with where it is from."""
    tree = ast.parse(Path(pinstripe.__file__).read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    body = next(block.body for block in blocks if ast.unparse(block.test) == "TYPE_CHECKING")
    imports = [node for node in body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def test_type_checkers_see_every_name() -> None:
    assert set(seen_by_type_checkers()) == PUBLIC - {"__version__"}


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__"}))
def test_a_name_is_what_type_checkers_see(name) -> None:
    module = importlib.import_module(seen_by_type_checkers()[name])
    assert getattr(pinstripe, name) is getattr(module, name)


def test_the_package_lists_its_names_and_knows_no_other() -> None:
    assert set(dir(pinstripe)) >= PUBLIC
    with pytest.raises(AttributeError, match="has no attribute 'AsynClient'"):
        pinstripe.AsynClient  # noqa: B018 -- touched to see it fail


def test_a_star_import_gives_every_name() -> None:
    names: dict[str, Any] = {}
    exec("from pinstripe import *", names)
    assert set(names) - {"__builtins__"} == PUBLIC


CLASSES = sorted(name for name in PUBLIC if isinstance(getattr(pinstripe, name), type))


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_says_that_users_import_it_from_the_package(name) -> None:
    kind = getattr(pinstripe, name)
    assert (kind.__module__, kind.__qualname__) == ("pinstripe", name)
    assert pickle.loads(pickle.dumps(kind)) is kind
    assert set(vars(kind).get("__annotations__", ())) <= set(get_type_hints(kind))


@pytest.mark.parametrize(
    "value",
    [
        pinstripe.Timeout(5),
        pinstripe.RetryPolicy(max_attempts=1),
        pinstripe.RateLimit(account=5),
        pinstripe.Limits(keepalive=5),
        pinstripe.RequestOptions(account="acct_1"),
        pinstripe.TLS(),
        pinstripe.Created(gte=datetime(2026, 1, 1, tzinfo=timezone.utc)),
        pinstripe.Page(data=(), has_more=False),
        pinstripe.HandlerInfo(delivery=1, event_id="evt_1", event_type="a.b", handler="m.f"),
        pinstripe.WaitInfo(call=1, method="GET", path="/v1/files", duration=0.5),
    ],
)
def test_a_value_is_pickled_by_its_public_name(value) -> None:
    assert pickle.loads(pickle.dumps(value)) == value
    assert f"cpinstripe\n{type(value).__name__}\n".encode() in pickle.dumps(value, protocol=0)


def test_a_traceback_names_an_error_as_users_do() -> None:
    error = pinstripe.ConfigurationError("limit", "is wrong")
    shown = traceback.format_exception_only(error)
    assert shown == ["pinstripe.ConfigurationError: limit: is wrong\n"]


def test_nothing_else_says_that_it_is_of_the_package() -> None:
    kinds = [
        kind
        for module in (errors, options, hooks, infos, tls, messages)
        for _, kind in members(module)
    ]
    named = {kind.__name__ for kind in kinds if kind.__module__ == "pinstripe"}
    assert named <= PUBLIC


MODULES = [
    *("bulk", "climate", "crypto", "dask", "events", "export", "files", "forwarding", "identity"),
    "otel",
    *("pytest_plugin", "sandbox", "sync", "testing", "webhook_endpoints", "webhooks"),
    *(f"adapters.{name}" for name in ("aiohttp", "asgi", "django", "flask", "wsgi")),
]


def defined_in(tree: ast.Module) -> set[str]:
    """The names without an underscore that a module defines, and does not import."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and "TypeVar(" not in ast.unparse(node):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names if name[0] != "_" and not name.startswith("pytest_")}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_lists_its_names(name) -> None:
    module = importlib.import_module(f"pinstripe.{name}")
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, one) for one in module.__all__)
    tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
    assert defined_in(tree) <= set(module.__all__)


def test_the_adapters_are_imported_one_by_one() -> None:
    assert pinstripe.adapters.__all__ == ()


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__"}))
def test_every_name_is_there_and_documented(name) -> None:
    value = getattr(pinstripe, name)
    docstring = inspect.getdoc(value)
    assert docstring
    assert re.match(r"[A-Z`]", docstring)
    if isinstance(value, type):
        assert value.__doc__  # its own, not an inherited one


def members(value: Any) -> list[tuple[str, Any]]:
    kinds = (types.FunctionType, property, cached_property, type)
    if value is pinstripe:
        return [(n, getattr(value, n)) for n in PUBLIC if isinstance(getattr(value, n), kinds)]
    return [(n, m) for n, m in vars(value).items() if n[0] != "_" and isinstance(m, kinds)]


@pytest.mark.parametrize("module", [pinstripe, identity, crypto, events, bulk])
def test_every_public_class_function_and_method_is_documented(module) -> None:
    for name, value in members(module):
        if inspect.getmodule(value) not in (module, None) and module is not pinstripe:
            continue
        assert value.__doc__, name
        if isinstance(value, type):
            for inner, member in members(value):
                assert member.__doc__, f"{name}.{inner}"


def test_receiving_is_a_module_of_its_own() -> None:
    assert set(webhooks.__all__) == RECEIVING
    for name in webhooks.__all__:
        value = getattr(webhooks, name)
        if str(getattr(value, "__module__", "")).partition(".")[0] == "pinstripe":
            assert value.__doc__, name
            for inner, member in members(value):
                assert member.__doc__, f"{name}.{inner}"


def test_the_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", pinstripe.__version__)


def drawn() -> list[tuple[str, str]]:
    """The tree in the docstring of the errors, as pairs of a class and its parent."""
    pairs: list[tuple[str, str]] = []
    above: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        others = r"Budget\w+|Connection\w+|Deadline\w+|Goal\w+|Response\w+|Wait\w+"
        found = re.match(rf"([ │├└─]*)(\w*Error|{others})\b", line)
        if found and (line.strip() == "PinstripeError" or "─" in found[1]):
            depth = len(found[1])
            above[depth] = found[2]
            parents = [above[d] for d in sorted(above) if d < depth]
            pairs += [(found[2], parents[-1])] if parents else []
            above = {d: name for d, name in above.items() if d <= depth}
    return pairs


def test_the_tree_of_errors_is_as_drawn() -> None:
    pairs = drawn()
    assert len(pairs) == 26
    for child, parent in pairs:
        assert getattr(pinstripe, parent) in getattr(pinstripe, child).__mro__[1:3]
    values = [value for _, value in members(errors) if isinstance(value, type)]
    classes = {value.__name__ for value in values if issubclass(value, PinstripeError)}
    drawn_classes = {child for child, _ in pairs} | {"PinstripeError"}
    assert drawn_classes == classes


@pytest.mark.parametrize("module", [identity, crypto, bulk])
def test_a_module_shows_its_name(module) -> None:
    assert module.__name__ in repr(module)
    assert module.__doc__

"""Settings: what is refused, and that the refusal names the argument and never the key."""

from __future__ import annotations

import pickle
import traceback
from functools import partial
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe import AsyncClient, ConfigurationError, Limits, RequestOptions, RetryPolicy, Timeout
from pinstripe._config.client import (
    DEFAULT_BASE_URL,
    DEFAULT_FILES_URL,
    Config,
    check_origin,
    config_from,
)
from pinstripe._config.options import DEFAULT_API_VERSION, header_text

KEY = "sk_test_4eC39HqLyjWDarjtT1zdp7dc"
CANARY = "4eC39HqLyjWDarjtT1zdp7dc"
nan, inf = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("make", "argument", "bad"),
    [
        (Timeout, "total", [0, -1, nan, "5", None, True]),
        (Timeout, "connect", [0, -0.1, nan, "5", None, False]),
        (RetryPolicy, "max_attempts", [0, -1, 2.0, inf, "3", None, True]),
        (RetryPolicy, "base", [-0.1, nan, "1", None, True]),
        (RetryPolicy, "cap", [-0.1, nan, "1", None]),
        (RetryPolicy, "max_retry_after", [-1, nan, "1", None]),
        (RetryPolicy, "budget", [-1, nan, "500", None]),
        (Limits, "max_in_flight", [0, -1, 2.5, inf, "3", None, True]),
        (Limits, "keepalive", [0, -1, nan, "3", None]),
        (Limits, "max_response_bytes", [0, -1, 1.5, "3", None]),
        (RequestOptions, "idempotency_key", ["", "a b", "a\r\nb", "é", "x" * 256, 5, b"x"]),
        (RequestOptions, "account", ["", "acct 1", "acct_1\n", 5]),
        (RequestOptions, "api_version", ["", "2026", "2026-10-28\n", "latest", 5, "٢٠٢٦-١٠-٢٨"]),
        (Config, "api_version", ["", "2026-10-28.endive\r\nX: y"]),
        (Config, "account", ["", "a b", "\x00"]),
        (Config, "retry", [3, "x", RetryPolicy, Limits()]),
        (Config, "limits", [3, None, RetryPolicy()]),
        (Config, "base_url", ["", "api.stripe.com", None, 5, b"https://a.example"]),
        (Config, "files_url", ["", "ftp://a.example", None]),
    ],
)
def test_every_validator_names_its_argument(make, argument, bad) -> None:
    usual: dict[str, Any] = {"api_key": KEY} if make is Config else {}
    for value in bad:
        with pytest.raises(ConfigurationError) as caught:
            make(**{**usual, argument: value})
        assert caught.value.argument == argument
        assert str(caught.value).startswith(f"{argument}: ")


@pytest.mark.parametrize("bad", [0, -5, "soon", nan])
@pytest.mark.parametrize("make", [RequestOptions, partial(AsyncClient, KEY)])
def test_a_timeout_given_as_a_number_is_checked_too(make, bad) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make(timeout=bad)
    assert caught.value.argument == "timeout"


def test_what_is_allowed() -> None:
    assert Timeout(inf, connect=0.001).total == inf
    assert RetryPolicy(max_attempts=1, base=0, cap=0, max_retry_after=0).max_attempts == 1
    assert Limits(max_in_flight=1, keepalive=0.1, max_response_bytes=1).max_in_flight == 1
    options = RequestOptions(idempotency_key="k" * 255, account="acct_1", timeout=3)
    assert options.timeout == Timeout(3)
    assert RequestOptions(timeout=Timeout(3)).timeout == Timeout(3)
    assert RequestOptions().timeout is None
    for version in ("2026-10-28", "2026-10-28.endive", "2026-10-28.endive;beta_x=v1"):
        assert RequestOptions(api_version=version).api_version == version


def test_settings_cannot_be_changed_afterwards() -> None:
    for value in (Timeout(), RetryPolicy(), Limits(), RequestOptions(), Config(api_key=KEY)):
        for attribute in attrs.fields(type(value)):
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                setattr(value, attribute.name, None)


def test_defaults() -> None:
    config = Config(api_key=KEY)
    assert (config.base_url, config.files_url) == (DEFAULT_BASE_URL, DEFAULT_FILES_URL)
    assert config.api_version == DEFAULT_API_VERSION
    assert config.timeout == Timeout(30, connect=10)
    assert config.retry.max_attempts == 3
    assert Config(api_key=KEY, timeout=5).timeout == Timeout(5)


GOOD_KEYS = [KEY, "rk_test_1", "sk_live_51H", "rk_live_x_y", "sk_org_1"]
BAD_KEYS = {
    "pk_test_" + CANARY: "publishable",
    " " + KEY: "white space",
    KEY + "\n": "white space",
    KEY + " ": "white space",
    KEY + "\n" + CANARY: "is not a key",
    KEY[:10] + "\r\n" + CANARY: "is not a key",
    KEY + "é": "is not a key",
    KEY + "\u0660": "is not a key",
    "sk_" + CANARY: "is not a key",
    CANARY: "is not a key",
    "whsec_" + CANARY: "is not a key",
    "sk_test_": "is not a key",
    "": "is missing",
}


@pytest.mark.parametrize("key", GOOD_KEYS)
def test_keys(key) -> None:
    assert Config(api_key=key).api_key == key


@pytest.mark.parametrize(("key", "says"), BAD_KEYS.items(), ids=range(len(BAD_KEYS)))
def test_a_wrong_key_is_named_by_its_fault_and_never_shown(key, says) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        AsyncClient(key)
    error = caught.value
    assert error.argument == "api_key"
    shown = "".join(traceback.format_exception(error))
    shown += repr(error) + str(error) + repr(error.args) + repr(vars(error))
    assert CANARY.encode() not in pickle.dumps(error)
    assert CANARY not in shown
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize("key", [5, b"sk_test_1", ["sk_test_1"]])
def test_a_key_is_text(key) -> None:
    with pytest.raises(ConfigurationError, match="is missing") as caught:
        Config(api_key=key)
    assert caught.value.argument == "api_key"


@given(st.text())
def test_no_text_gets_through_that_could_break_a_header(text) -> None:
    try:
        config = Config(api_key="sk_test_" + text)
    except ConfigurationError as error:
        assert error.argument == "api_key"
    else:
        assert config.api_key.isascii()
        assert config.api_key.replace("_", "").isalnum()


def test_the_key_is_in_no_repr() -> None:
    client = AsyncClient(KEY)
    for value in (Config(api_key=KEY), client, client.with_options(timeout=3), client.identity):
        assert CANARY not in repr(value)
        assert CANARY not in f"{value}"


@pytest.mark.parametrize(
    "url",
    [
        "https://api.stripe.com",
        "https://api.stripe.com:8443",
        "HTTPS://API.example",
        "https://10.0.0.1",
        "https://[2001:db8::1]:443",
        "http://localhost:12111",
        "http://LOCALHOST",
        "http://127.0.0.1:12111",
        "http://127.1.2.3",
        "http://[::1]:12111",
        "https://a_b.example.",
        f"https://{'a' * 63}.example",
        f"https://{'.'.join(['a' * 49] * 5)}.com",
    ],
)
def test_origins(url) -> None:
    check_origin("base_url", url, live=False)
    assert Config(api_key=KEY, base_url=url + "/").base_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://api.stripe.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://10.0.0.1",
        "http://[::2]",
        "http://127.0.0.1@evil.example",
        "http://0.0.0.0:80",
        "ftp://localhost",
        "file:///etc/passwd",
        "https://",
        "https://:443",
        "https://user@host.example",
        "https://user:word@host.example",
        "https://@host.example",
        "https://host.example/v1",
        "https://host.example?",
        "https://host.example?a=b",
        "https://host.example#",
        "https://host.example:99999",
        "https://host.example:port",
        "https://[::1",
        "https://host .example",
        "https://host.example\n",
        "https://ho\nst.example",
        "https://host.example\\@evil.example",
        "https://höst.example",
        "http://127.0.0.\u0661",
        "http://a..b",
        "https://.example",
        "https://example..",
        "https://.",
        f"https://{'a' * 64}.example",
        f"https://{'.'.join(['a' * 49] * 5)}.coms",
        "https://127.999.1.1",
        "http://127.999.1.1",
        "https://1.2.3",
        "https://127.0.0.1.5",
        "https://[1::2::3]",
        "https://[:]",
        "https://[127.0.0.1]",
        "//host.example",
    ],
)
def test_addresses_that_a_key_must_not_go_to(url) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_origin("files_url", url, live=False)
    assert caught.value.argument == "files_url"


@pytest.mark.parametrize("argument", ["base_url", "files_url"])
def test_a_live_key_never_goes_over_plain_http(argument) -> None:
    with pytest.raises(ConfigurationError, match="test keys") as caught:
        Config(api_key="sk_live_" + CANARY, **{argument: "http://127.0.0.1:1"})
    assert caught.value.argument == argument
    assert CANARY not in str(caught.value)
    Config(api_key="sk_live_" + CANARY, base_url="https://127.0.0.1:1")


def test_settings_are_completed_from_the_environment() -> None:
    environ = {"STRIPE_API_KEY": KEY, "PINSTRIPE_BASE_URL": "http://localhost:1/"}
    config = config_from({"api_key": None, "timeout": 3}, environ)
    assert config == Config(
        api_key=KEY, base_url="http://localhost:1", files_url="http://localhost:1", timeout=3
    )
    other = config_from({"files_url": "http://localhost:2"}, environ)
    assert (other.base_url, other.files_url) == ("http://localhost:1", "http://localhost:2")
    given_ = config_from({"api_key": "rk_test_2", "base_url": "https://a.example"}, environ)
    assert (given_.api_key, given_.base_url) == ("rk_test_2", "https://a.example")
    assert given_.files_url == DEFAULT_FILES_URL
    with pytest.raises(ConfigurationError, match="STRIPE_API_KEY"):
        config_from({}, {})
    assert config_from({"api_key": KEY}, {"PINSTRIPE_BASE_URL": ""}).base_url == DEFAULT_BASE_URL


def test_the_environment_of_the_process_is_the_default(monkeypatch) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "rk_test_env")
    monkeypatch.setenv("PINSTRIPE_BASE_URL", "http://localhost:7")
    assert config_from({}).api_key == "rk_test_env"
    assert repr(AsyncClient()) == "AsyncClient('http://localhost:7')"
    monkeypatch.delenv("STRIPE_API_KEY")
    with pytest.raises(ConfigurationError, match="api_key: is missing"):
        AsyncClient()


@given(st.text())
def test_header_text_lets_only_printable_ascii_through(text) -> None:
    try:
        assert header_text("account", text) is text
    except ConfigurationError as error:
        assert error.argument == "account"
        assert not text.isascii() or not text.isprintable() or " " in text or not text
    else:
        assert 1 <= len(text) <= 255
        assert all("!" <= character <= "~" for character in text)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("https://api.stripe.com", ("api.stripe.com", 443)),
        ("http://LOCALHOST", ("localhost", 80)),
        ("http://[::1]:8080/", ("::1", 8080)),
    ],
)
def test_the_server_behind_an_address(url: str, server: tuple[str, int]) -> None:
    config = Config(api_key="sk_test_1", base_url=url, files_url="https://files.example:9")
    assert config.server_of("api") == server
    assert config.server_of("files") == ("files.example", 9)

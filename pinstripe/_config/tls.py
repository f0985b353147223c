"""Which certificates are trusted, and which certificate the client shows.

Verification cannot be turned off: the only way would be an `ssl` context that does not verify, and
such a context is refused.
"""

import os
import ssl
import sys
from contextlib import suppress
from typing import Any, cast

from attrs import Attribute, field, frozen

from pinstripe._core.checks import kind_of
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.values import Value


def _readable_file(_: Any, attribute: "Attribute[Any]", value: Any) -> None:
    if value is None:
        return
    is_path = isinstance(value, (str, os.PathLike))
    if not is_path or not os.access(cast("str", value), os.R_OK):
        raise ConfigurationError(attribute.name, "must be the path of a file that can be read")


@frozen(kw_only=True, eq=False, repr=False)
class TLS(Value):
    """Certificates in place of those of the machine.

    For anything else, such as a key with a passphrase, a client takes an `ssl.SSLContext` in its
    place.

    Attributes:
        ca_file: The PEM file of the authorities to trust; None for those of the machine.
        client_certificate: The PEM file of the certificate to show to the server.
        client_key: The PEM file of its key, if that is a file of its own.
    """

    ca_file: str | os.PathLike[str] | None = field(default=None, validator=_readable_file)
    client_certificate: str | os.PathLike[str] | None = field(
        default=None, validator=_readable_file
    )
    client_key: str | os.PathLike[str] | None = field(default=None, validator=_readable_file)

    def __attrs_post_init__(self) -> None:
        if self.client_key is not None and self.client_certificate is None:
            raise ConfigurationError("client_certificate", "is needed with client_key")


# The module that users import it from; see the end of `options`.
TLS.__module__ = "pinstripe"


def check_tls(_: Any, attribute: "Attribute[Any]", value: Any) -> None:
    """Refuse TLS settings that do not verify the server; an attrs validator.

    Raises:
        ConfigurationError: It is a context that does not verify, or neither a context nor a `TLS`.
    """
    if isinstance(value, ssl.SSLContext):
        if value.verify_mode != ssl.CERT_REQUIRED or not value.check_hostname:
            problem = "must verify: verify_mode=CERT_REQUIRED and check_hostname=True"
            raise ConfigurationError(attribute.name, problem)
    elif value is not None and not isinstance(value, TLS):
        problem = f"must be a TLS or an ssl.SSLContext, not {kind_of(value)}"
        raise ConfigurationError(attribute.name, problem)


def ssl_context(tls: TLS | ssl.SSLContext | None) -> ssl.SSLContext:
    """Return the context for connections; it reads files, so it takes up to 30 ms.

    Args:
        tls: The setting of the client.

    Raises:
        ConfigurationError: A file does not hold what it should.
    """
    if isinstance(tls, ssl.SSLContext):
        return tls
    tls = tls or TLS()
    # Not `ssl.create_default_context`: that writes the secrets of every connection to the file
    # that the environment variable SSLKEYLOGFILE names.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    # The flags of Python's own default context.
    if sys.version_info >= (3, 13) and tls.ca_file is None:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    argument, problem = "ca_file", "holds no certificates in PEM form"
    with suppress(OSError, ValueError):
        if tls.ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(tls.ca_file)
        if tls.client_certificate is not None:
            argument = "client_certificate"
            problem = "and client_key hold no certificate and key in PEM form that fit each other"
            context.load_cert_chain(tls.client_certificate, tls.client_key, _no_passphrase)
        return context
    raise ConfigurationError(argument, problem)


def _no_passphrase() -> str:
    """Return a wrong passphrase; without one, OpenSSL would ask for it on the terminal."""
    return ""

"""How connections to MySQL and MariaDB are encrypted, and what is verified of the server."""

import functools
from typing import TYPE_CHECKING, Any

from dgtui.engine.errors import ConfigError

if TYPE_CHECKING:
    from pymysql.connections import Connection


def tls_context(authority: str | None, verify: bool, host_name: bool) -> Any:
    """What Python needs to know; `authority` is a file, None for the system's own. Raises ConfigError."""
    import ssl

    if not verify:
        # To read the system's authorities takes ten times as long as all the rest of a connection.
        unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unverified.check_hostname = False
        unverified.verify_mode = ssl.CERT_NONE
        return unverified
    try:
        context = ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise ConfigError(
            f"The certificate authority cannot be read from {authority}: {error.strerror or error}",
            subject=authority or "",
            hint="Name in `tls_ca` a file with its certificate in PEM form, which our user may read",
        ) from None
    # From Python 3.13 on it would refuse the authority that a MySQL server makes for itself, and one made with
    # `openssl req -x509`: they do not say what their key is for. The server's own programs take them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = host_name
    return context


@functools.cache
def connection_type() -> "type[Connection[Any]]":
    """PyMySQL's connection, which encrypts without verifying where nothing else is asked for, without reading those."""
    from pymysql.connections import Connection

    class QuickConnection(Connection):  # type: ignore[misc]  # PyMySQL has no types
        def _create_ssl_ctx(self, parameters: Any) -> Any:
            return tls_context(None, False, False) if parameters == {} else super()._create_ssl_ctx(parameters)

    return QuickConnection

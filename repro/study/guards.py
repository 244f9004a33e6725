"""Who may speak with the study's server, and for how long it listens.

A page of another site must not take part in a visitor's name, not even when its own name is made to lead to this
machine (DNS rebinding).  And whoever sends half a request, or none, holds nobody else up.
"""

import ipaddress
import time
from urllib.parse import urlsplit

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S = 10  # from a request's first byte, or a connection's beginning, to its last byte: 4 KB at most
CROWD = 400  # connections from which on the one that has been quiet longest is closed for each new one
_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def stranger(scope, names):
    """Why a request is not for this server or not from its own page, in words; None where it is.

    scope: ASGI's.  names: hosts that lead here, as "localhost" or that of a proxy; the address at which a
    request arrived always does.
    """
    headers = [(name.lower(), value.decode("latin-1")) for name, value in scope.get("headers", ())]
    values = {name: [found for key, found in headers if key == name] for name, _ in headers}
    given = values.get(b"host", [])
    host = _host_of(f"//{given[0]}") if len(given) == 1 else None
    if host is None or host not in names and host != _address((scope.get("server") or ("",))[0]):
        return "this server does not go by that name: take the address that it printed, or start it with --public-url"
    if scope["path"].startswith("/api/"):
        origins, sites = values.get(b"origin", []), values.get(b"sec-fetch-site", [])
        if any(urlsplit(origin).netloc.lower() != given[0].lower() for origin in origins) or (
            set(sites) - {"same-origin", "none"}
        ):
            return "only the study's own page may ask for this: open the address that the server printed"
    return None


def _host_of(url):
    """The host of a URL, a plain name or a normal form of an address; None where it has none."""
    try:
        return _address(urlsplit(url).hostname)
    except ValueError:
        return None


def _address(host):
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.rstrip(".") if host else None


def names_of(host="localhost", public_url=None):
    """The hosts that lead to a server that listens on `host` and perhaps stands behind a proxy."""
    found = {"localhost", _host_of(f"//[{host}]" if ":" in host else f"//{host}")}
    return frozenset(found | ({_host_of(public_url)} if public_url else set())) - {None}


class PatientProtocol(H11Protocol):
    """uvicorn's, with a time limit for each request's head and body, and room for newcomers in a crowd."""

    def connection_made(self, transport):
        """Start the clock, and close the longest waiting connection where there is a crowd."""
        super().connection_made(transport)
        self.quiet_since, self.limit = time.monotonic(), None
        self._limit(True)
        if len(self.connections) > CROWD:
            waiting = [other for other in self.connections if other is not self and not other.is_answering()]
            if waiting:
                oldest = min(waiting, key=lambda other: other.quiet_since)
                self.connections.discard(oldest)  # at once: the server counts them
                oldest.transport.close()

    def is_answering(self):
        """Whether a whole request is here whose answer is not yet sent."""
        return self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete

    def data_received(self, data):
        """Note that somebody speaks, and keep or stop the clock of what is not whole."""
        self.quiet_since = time.monotonic()
        super().data_received(data)
        cycle = self.cycle
        self._limit(cycle is None or cycle.more_body or cycle.response_complete)

    def connection_lost(self, exc):
        """Stop the clock."""
        self._limit(False)
        super().connection_lost(exc)

    def _limit(self, wanted):
        """Start the clock of a request that is not whole, once; stop it where it is."""
        if wanted and self.limit is None:
            self.limit = self.loop.call_later(REQUEST_S, self._is_late)
        elif not wanted and self.limit is not None:
            self.limit.cancel()
            self.limit = None

    def _is_late(self):
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(_LATE)
        self.transport.close()

"""Running the study's server: in the foreground for the command, in a thread for a notebook."""

import contextlib
import errno
import io
import socket
import threading
import time

import segno
import uvicorn

from repro.study.guards import PatientProtocol, names_of
from repro.study.server import make_app

EVERYWHERE = ("0.0.0.0", "::")


class ServeError(Exception):
    """The server cannot start, and what to do."""


def listen(host="127.0.0.1", port=8765):
    """A bound socket; port 0 takes any free one.

    Raises ServeError when the port is busy or the host is not here.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, proto=socket.IPPROTO_TCP)  # named, or asyncio leaves Nagle's delay on
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except (OSError, OverflowError) as error:
        listener.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise ServeError(
                f"port {port} is busy: stop what uses it, or choose another with --port {port + 1}"
            ) from None
        raise ServeError(f"cannot listen on {host} port {port}: {error}") from None
    return listener


def link(listener):
    """The address a browser takes: the machine's own one in its network when it listens everywhere."""
    host, port = listener.getsockname()[:2]
    host = network_address() if host in EVERYWHERE else host
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def network_address():
    """The machine's address in its network, 127.0.0.1 if it has none.  Nothing is sent to find it."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # a documentation address: UDP only chooses the way out
        return probe.getsockname()[0]
    return "127.0.0.1"


def qr_code(address):
    """A QR code to show in a terminal, text."""
    text = io.StringIO()
    segno.make(address, micro=False).terminal(out=text, compact=True, border=2)
    return text.getvalue()


def make_server(store, limits=None, names=None):
    """The uvicorn Server of a store; no access log, as that would keep addresses.  names: as for `make_app`."""
    return server_of(make_app(store, limits, names))


def server_of(app):
    """The uvicorn Server of an application, with the study's limits of time and of connections."""
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=1000,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=16384,
    )
    return uvicorn.Server(config)


@contextlib.contextmanager
def serving(store, host="127.0.0.1", port=0, limits=None, make=make_app):
    """The study's address while the block runs; the server lives in a thread.  For notebooks and tests.

    `with serving(store) as address: ...`  make: of the application, as `make_app` or `guessing.make_app`.
    """
    listener, server = listen(host, port), server_of(make(store, limits, names_of(host)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise ServeError("the server ended before it began; its output says why")
            time.sleep(0.01)
        yield link(listener)
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()

"""A file's bytes from a folder or any URL that fsspec opens, in spite of servers that drop, refuse or fall silent.

What is cut short goes on from the byte reached.  However a server behaves, the time that it may take is bounded,
and what is waited for is said on standard error while it lasts.
"""

import sys
import time

import fsspec

from repro.datasets.folder import SourceError

TRIES = 6  # in a row that bring no new byte, before a file is given up
WAIT, LONGEST_WAIT = 0.5, 20.0  # seconds before the next try: doubled at each, up to the longest
CONNECT, SILENCE = 30, 60  # seconds after which a server that does not answer, or falls silent, is left
PATIENCE, LEAST = 180, 2**20  # a file is given up that grows by less than so many bytes in so many seconds
SAY_EVERY = 20  # seconds between two lines on a server that sends hardly anything
LARGEST = 2**33  # bytes of a file, which is held in memory whole
_PIECE = 2**20  # bytes read at a time


class ShardError(SourceError):
    """Shards that are missing, broken, out of reach or too few; says which, where, and what to do."""


class _Stalled(Exception):
    """Too few bytes have come for too long."""


def fetch(url, size=None):
    """A file's bytes; what is cut short is continued, what is refused is tried again, with growing waits.

    size: bytes it must have.  Raises FileNotFoundError at once; ShardError for all else, among it less than
    LEAST bytes in PATIENCE seconds (and the SILENCE that may have begun before they were over).
    """
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:  # no such protocol, or its package is not installed
        raise ShardError(f"{url} cannot be opened: {error}") from error
    data, watch, tries, furthest = bytearray(), _Watch(url), 0, -1
    while True:
        try:
            _read_on(fs, path, data, size, watch)
            reason = f"{len(data)} bytes came, where the manifest says {size}"
        except FileNotFoundError:
            raise
        except Exception as error:  # every file system has errors of its own
            reason = _refused_for_good(url, error)
        else:
            if size in (None, len(data)):
                return bytes(data)
        tries = 1 if len(data) > furthest else tries + 1
        furthest = max(furthest, len(data))
        if tries >= TRIES or "file" in fs.protocol or watch.is_over():
            raise ShardError(
                f"{url} could not be read ({reason}); see that it is whole and its server up, then run again"
            )
        if size is not None and len(data) >= size:
            data.clear()
        watch.wait(min(LONGEST_WAIT, WAIT * 2 ** (tries - 1)), reason)


class _Watch:
    """How long a file has hardly grown, and saying so."""

    def __init__(self, url):
        self.url, self.most, self.since, self.said = url, 0, time.monotonic(), time.monotonic()

    def seen(self, length):
        """So many bytes are here now.  Raises _Stalled where they have hardly grown for too long."""
        now = time.monotonic()
        if length >= self.most + LEAST:
            self.most, self.since, self.said = length, now, now
        if self.is_over():
            raise _Stalled(f"only {max(0, length - self.most)} bytes came in {now - self.since:.0f} s")
        if now - self.said >= SAY_EVERY:
            self._say(f"{length} bytes are here and hardly any come")

    def is_over(self):
        return time.monotonic() - self.since > PATIENCE

    def wait(self, seconds, reason):
        self._say(f"{reason}; asking again in {seconds:.1f} s")
        time.sleep(seconds)

    def _say(self, what):
        self.said = time.monotonic()
        left = max(0.0, PATIENCE - (self.said - self.since))
        print(f"{self.url}: {what}; given up in {left:.0f} s", file=sys.stderr, flush=True)


def _read_on(fs, path, data, size, watch):
    """Append what a file holds from byte len(data) on; where its server knows no ranges, all of it anew."""
    if "http" not in fs.protocol:
        data += fs.cat_file(path, start=len(data))
        return
    from aiohttp import ClientTimeout

    most = LARGEST if size is None else size
    headers = {**fs.kwargs.get("headers", {}), "Accept-Encoding": "identity"}
    if data:
        headers["Range"] = f"bytes={len(data)}-"
    timeout = ClientTimeout(total=None, sock_connect=CONNECT, sock_read=SILENCE)
    # block size 0: one answer, read as it comes; a size, so that it is not asked for first
    with fs.open(path, block_size=0, size=size or 1, headers=headers, timeout=timeout) as file:
        if file.r.status != 206:
            data.clear()
        while len(data) <= most and (piece := file.read(_PIECE)):
            data += piece
            watch.seen(len(data))


def _refused_for_good(url, error):
    """Why a try failed, in words.  Raises ShardError where the next would fail like it."""
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    status = getattr(error, "status", None)  # 416: no byte is there, so the file has changed
    is_refusal = isinstance(status, int) and 400 <= status < 500 and status not in (408, 416, 425, 429)
    if is_refusal or isinstance(error, PermissionError | _Stalled):
        raise ShardError(
            f"{url} could not be read: {reason}; see that its server is up and lets you in, then run again"
        ) from error
    return reason

"""Reading and writing files so that nothing odd hangs the program, and no crash spoils what was there."""

import os
import stat
import sys
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path

LARGEST = 2**32  # bytes; what is larger is no photograph that could be opened


def read_file(path):
    """The bytes of an ordinary file.

    Raises OSError, whose strerror is for people, for what cannot be opened, and for what is no ordinary file:
    a named pipe would be waited for, a device may have no end.
    """
    kind = os.stat(path)
    if not stat.S_ISREG(kind.st_mode) and not stat.S_ISDIR(kind.st_mode):  # of a folder the system says what is wrong
        raise OSError(None, "it is a pipe or a device, not a file", os.fspath(path))
    if kind.st_size > LARGEST:
        raise OSError(None, f"{kind.st_size / 2**30:.1f} GiB are more than the {LARGEST >> 30} GiB allowed", path)
    with open(path, "rb") as file:
        return file.read(kind.st_size)  # no further: files of /proc say 0, and some of them have no end


def identity(path):
    """The same for a file and for all links to it."""
    try:
        found = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return (found.st_dev, found.st_ino) if found.st_ino else os.path.realpath(path)


def write_atomically(path, content):
    """Write bytes to a temporary file, sync, rename: after a crash or a full disk the old file is still whole.

    The temporary file is hidden and ends in .part; its name stays short where `path` has the longest one allowed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:24]}.{uuid.uuid4().hex}.part")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder):
    """The new name too must outlive a power cut."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def printable(text):
    r"""A text on one line that every terminal can show.

    What is no letter of a line becomes its escape, as \n or \udce4 (half a letter of a name in another encoding).
    """
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape", "surrogatepass").decode() for sign in str(text)
    )


@contextmanager
def overheard():
    """Keeps the warnings of libraries written in C from the screen; yields a list that holds their lines in the end.

    They name no file (libtiff: a thousand for one folder).

    For the whole process: what Python itself prints to stderr meanwhile is among them.
    """
    lines = []
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, ValueError, AttributeError):  # there is no stderr, so nothing is printed
        yield lines
        return
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            lines += caught.read(100_000).decode(errors="replace").splitlines()

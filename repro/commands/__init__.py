"""The commands of python -m repro, one a file: arguments and messages, nothing else."""

import os
import sys
from contextlib import suppress

from repro.files import printable


def fail(message):
    """Print what is wrong; returns the exit code."""
    say(f"error: {message}", sys.stderr)
    return 1


def say(line, stream=None):
    """Print one line at once, whatever letters it has; returns whether it could be printed.

    Where it cannot (a full disk takes no more messages) the work goes on.  Raises BrokenPipeError where nobody
    reads any more, which `main` takes for the end.
    """
    stream = stream or sys.stdout
    try:
        print(printable(line), file=stream, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        discard(stream)
        if stream is not sys.stderr:
            say(f"error: cannot print: {error.strerror or error}; the work goes on without a word", sys.stderr)
        return False
    return True


def discard(stream):
    """Whatever is printed there from now on is lost, and so is what still waits in its buffer."""
    with suppress(OSError, ValueError):  # a stream without a file behind it
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def escape_unknown_letters():
    """A terminal that lacks a letter shows its escape: no message ends a run."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def read_settings(file, changes=None):
    """The settings of a file, each checked, and the recipe of every training as a whole."""
    from repro.settings import read
    from repro.training.settings import settings_of

    settings = read(file, changes)
    for objective in settings.models.objectives:
        settings_of(settings, objective)
    return settings

"""Calling a student's function: whatever it does, the page goes on and learns what happened."""

import contextlib
import copy
import ctypes
import dis
import inspect
import io
import linecache
import sys
import sysconfig
import textwrap
import threading
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

LIMIT = 8.0  # seconds that one call may take
NOT_THE_STUDENTS = tuple(
    str(Path(folder).resolve())
    for folder in (*map(sysconfig.get_path, ("stdlib", "purelib", "platlib")), Path(__file__).parents[1])
)
IDLE = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "POP_TOP", "CACHE"}
RAISING = {"LOAD_GLOBAL", "PRECALL", "CALL", "PUSH_NULL", "RAISE_VARARGS"}


class TooLongError(BaseException):
    """Ends a student's loop; no `except Exception` of theirs holds it up."""


@dataclass(frozen=True)
class Outcome:
    """What a call gave.  error: None or what it stopped with; changed: the parameters' places that it changed."""

    result: object = None
    error: BaseException | None = None
    changed: tuple = ()


def call(function, arguments):
    """Call a function with copies of the arguments, for LIMIT seconds at most; returns an Outcome.

    What it prints is not shown.
    """
    given, unread = copy.deepcopy(arguments), io.StringIO()
    with contextlib.redirect_stdout(unread), contextlib.redirect_stderr(unread):
        result, error = _within_limit(function, given)
    changed = tuple(i for i, (one, other) in enumerate(zip(arguments, given, strict=True)) if not _same(one, other))
    return Outcome(result, error, changed)


def _within_limit(function, arguments):
    """(result, None) or (None, error).  A thread can be told to stop where a signal cannot: on every system."""
    ended = []

    def run():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ended.append((function(*arguments), None))
        except BaseException as error:  # sys.exit() too: it is to be explained, not to end the page
            ended.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    for _ in range(5):
        thread.join(LIMIT)
        if not (thread.is_alive() and _importing(thread)):  # a module whose import is broken off stays broken
            break
    line = _line_now(thread) if thread.is_alive() else None
    for _ in range(20):  # a bare `except:` inside the loop may swallow the first
        if not thread.is_alive():
            break
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(TooLongError))
        thread.join(0.05)
    if line is None and ended:
        return ended[0]
    error = TooLongError(f"no end within {LIMIT:g} s")
    error.where = line
    return None, error


def _line_now(thread):
    """Where a thread is at this moment, as `students_line` says it."""
    return _last_of_student(_stack(thread))


def _importing(thread):
    return any(frame.filename.startswith("<frozen importlib") for frame in _stack(thread))


def _stack(thread):
    frame = sys._current_frames().get(thread.ident)
    return traceback.extract_stack(frame) if frame else []


def _same(before, after):
    """Whether an argument still holds the same values; a mark such as requires_grad changes none."""
    if isinstance(before, torch.Tensor):
        before, after = before.detach().numpy(), after.detach().numpy()
    if isinstance(before, np.ndarray):
        return before.shape == after.shape and np.array_equal(before, after, equal_nan=before.dtype.kind == "f")
    return before == after


# ---- what a function looks like from outside ----


def untouched(function):
    """Whether a function is still the stub: it does nothing, or only raises NotImplementedError."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return False
    seen = {instruction.opname for instruction in dis.get_instructions(code)}
    raises = set(code.co_names) == {"NotImplementedError"}
    if any(one not in (None, ..., function.__doc__) for one in code.co_consts):
        return False
    return seen <= (IDLE | RAISING if raises else IDLE)


def takes(function, parameters):
    """None if a function can be called with that many arguments, else the names it wants, as text."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*parameters)
    except TypeError:
        return ", ".join(map(str, signature.parameters)) or "nothing"
    return None


# ---- where it went wrong ----


def students_line(error):
    """The last of the student's own lines on the way to an error, as "line 3: ...", or an empty text."""
    return getattr(error, "where", None) or _last_of_student(traceback.extract_tb(error.__traceback__))


def _last_of_student(frames):
    own = [frame for frame in frames if not _of_others(frame.filename)]
    if not own:
        return ""
    line = linecache.getline(own[-1].filename, own[-1].lineno).strip()
    return f"line {own[-1].lineno}: {textwrap.shorten(line, 90)}" if line else f"line {own[-1].lineno}"


def _of_others(filename):
    path = str(Path(filename).resolve())
    return filename.startswith("<frozen") or any(path.startswith(folder) for folder in NOT_THE_STUDENTS)


def one_line(error):
    """An error in a line: its kind and the first sentence of what it says."""
    try:
        said = str(error)
    except Exception:  # a class of the student's own
        said = ""
    said = said.strip().split("\n")[0].split(". ")[0].rstrip(".:")
    return textwrap.shorten(
        f"{type(error).__name__}: {said}" if said else type(error).__name__, 150, placeholder=" ..."
    )

"""Feedback on the exercises: kind, immediate, and as precise as can be.

    from repro.checks import check
    check(soft_encode)        # the student's function, known by its name

Each check draws cases from a seed, so the same function gets the same answer. It tries the smallest case first, shows
the first that goes wrong, and names the mistake where the results are those of a typical one.
"""

import inspect
import time
from dataclasses import dataclass
from pathlib import Path

from repro.checks.cases import read_sheets
from repro.checks.running import TooLongError, call, takes, untouched
from repro.checks.tally import note
from repro.checks.telling import explain, fits, known_mistake

HANDED_OUT = Path(__file__).with_name("cases.json")  # of a course, which has no solutions beside it
PATIENCE = 3.0  # seconds for which cases are tried after one went wrong, to find out which mistake it is


@dataclass(frozen=True)
class Feedback:
    """What a check found.  state: "right", "not tried yet" or "not yet right"; true only if right.

    mistake: the sentence of a known mistake, where it is one.
    """

    state: str
    message: str
    mistake: str = ""

    def __bool__(self):
        return self.state == "right"

    def __repr__(self):
        mark = {"right": "✓", "not tried yet": "…", "not yet right": "✗"}[self.state]
        return f"{mark} {self.message}"


def check(function, exercise=None, seed=0):
    """Feedback on a student's function.

    exercise: its name; without one, the name under which the function is known decides.  seed: which cases are drawn.
    Whatever the function does, the answer is a Feedback.
    """
    sheets = _sheets(seed)
    names = [exercise] if exercise else _names(function, inspect.currentframe().f_back)
    name = next((one for one in names if one in sheets), None)
    if name is None:
        known = f"there is no exercise {names[0]!r}; there are {', '.join(sheets)}"
        return Feedback("not yet right", f"{known}. For another name: check(function, 'auc').")
    if not callable(function):
        return Feedback("not yet right", f"{name}: give the function itself, check({name}), not what it returns.")
    if untouched(function):
        return Feedback("not tried yet", f"{name}: not tried yet. Replace the line below the description.")
    found = _judged(function, sheets[name])
    note(name, bool(found), found.mistake)
    return found


def _judged(function, sheet):
    wanted = takes(function, sheet.parameters)
    if wanted is not None:
        expected = ", ".join(sheet.parameters)
        return Feedback("not yet right", f"{sheet.name}: it should take ({expected}), it takes ({wanted}).")
    tried = _try(function, sheet)
    wrong = next((case for case, outcome in tried if not case.remark and not fits(sheet, case, outcome)), None)
    if wrong is None:
        remarks = [case.remark for case, outcome in tried if case.remark and not fits(sheet, case, outcome)]
        count = sum(not case.remark for case in sheet.cases)
        return Feedback("right", "\n".join([f"{sheet.name}: right in all {count} cases. Well done.", *remarks]))
    asked = [pair for pair in tried if not pair[0].remark]
    stopped = any(isinstance(outcome.error, TooLongError) for _, outcome in asked)
    again = asked[0][1] if stopped else call(function, wrong.arguments)
    mistake = known_mistake(sheet, asked)
    return Feedback("not yet right", explain(sheet, asked, again, mistake), mistake or "")


def _try(function, sheet):
    """Pairs (Case, Outcome): all cases, or those for which there was time after the first wrong one."""
    tried, end = [], float("inf")
    for case in sheet.cases:
        tried.append((case, call(function, case.arguments)))
        if not case.remark and not fits(sheet, *tried[-1]):
            end = min(end, time.monotonic() + PATIENCE)
        if time.monotonic() > end or isinstance(tried[-1][1].error, TooLongError):
            break
    return tried


def grade(function, sheet, points=1.0):
    """Points for a function: the share of a Sheet's cases that it gets right, rounded to a tenth of a point."""
    if not callable(function) or untouched(function):
        return 0.0
    cases = [case for case in sheet.cases if not case.remark]
    right = 0
    for case in cases:
        outcome = call(function, case.arguments)
        right += fits(sheet, case, outcome)
        if isinstance(outcome.error, TooLongError):
            break
    return round(points * right / len(cases), 1)


# ---- which exercise it is ----


def _sheets(seed):
    """{name: Sheet}: those handed out with a course, else drawn anew."""
    if HANDED_OUT.exists():
        return read_sheets(HANDED_OUT.read_text(encoding="utf-8"))
    from repro.checks.exercises import Sheets

    return Sheets(seed)


def _names(function, caller):
    """Names under which a function is known, its own first: a lambda and a decorator's wrapper have another's."""
    within = [function]
    for attribute in ("__wrapped__", "func", "pyfunc"):
        within += [one for one in [getattr(function, attribute, None)] if callable(one)]
    names = [getattr(one, "__name__", None) for one in within]
    within += [type(function).__call__] if callable(function) else []
    spaces = [caller.f_locals, caller.f_globals, *(getattr(one, "__globals__", {}) for one in within)]
    names += [name for space in spaces for name, one in space.items() if one is function and not name.startswith("_")]
    return [name for name in names if name] or [type(function).__name__]

"""What a student is told: the smallest case that goes wrong, the mistake if it is a known one, else what differs."""

import inspect
import textwrap

import numpy as np

from repro.checks.cases import close, parts, wrong_places
from repro.checks.running import TooLongError, one_line, students_line

WIDTH = 100


def fits(sheet, case, outcome):
    """Whether a call gave a right result and left what it was given as it was."""
    return outcome.error is None and not outcome.changed and _among(case.accepted, sheet, outcome)


def _among(known, sheet, outcome):
    """Whether an outcome is one of the known results; None among them is a call that stops."""
    if outcome.error is not None:
        return None in known
    try:
        found = parts(outcome.result, len(sheet.results))
    except ValueError:
        return False
    return any(one is not None and close(found, one) for one in known)


def explain(sheet, tried, again, told):
    """A message about the first wrong case.

    tried: pairs (Case, Outcome) up to it and, if there was time, beyond; again: the Outcome of that case tried
    once more; told: what `known_mistake` says of them.
    """
    case, outcome = next(pair for pair in tried if not fits(sheet, *pair))
    if told is None:
        told = _trouble(sheet, case, outcome, again)
    elif outcome.error is None and not outcome.changed:
        told = "\n".join(filter(None, [told, _difference(sheet, case, outcome).split(";")[0]]))
    return "\n".join(_short(line) for line in f"{_asked(sheet, case)}\n{told}".split("\n"))


def _short(line):
    line = textwrap.shorten(line, 2 * WIDTH - 10, placeholder=" ...")
    return line if line.endswith((":", "?", ".", "`", "...")) else line + "."


def _asked(sheet, case):
    """Which case it is, with what was given if that fits into a line."""
    pairs = zip(sheet.parameters, case.arguments, strict=True)
    given = ", ".join(f"{name} = {_shown(value)}" for name, value in pairs)
    head = f"{sheet.name}, {case.description}"
    return f"{head}: {given}" if len(head) + len(given) < 2 * WIDTH - 20 else f"{head}"


def _shown(value):
    """A number, list or array in the shortest form, with four digits."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        inner = ", ".join(map(_shown, value))
        return f"({inner})" if isinstance(value, tuple) else f"[{inner}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# ---- a known mistake ----


def known_mistake(sheet, tried):
    """The mistake that gives what the student's function gives in every case; None if there is none such."""
    return next((told for told in tried[0][0].mistaken if _made(told, sheet, tried)), None)


def _made(told, sheet, tried):
    """Whether a mistake explains all outcomes.

    A case in which only the student's result is not finite counts for neither side; then two others have to speak for
    the mistake, and such cases are no more than half.
    """
    silent, speaking = 0, 0
    for case, outcome in tried:
        known = case.mistaken[told]
        if _among(known, sheet, outcome):
            speaking += not _among(case.accepted, sheet, outcome)
        elif _not_finite(sheet, outcome) and any(one and all(np.isfinite(part).all() for part in one) for one in known):
            silent += 1
        else:
            return False
    return speaking >= (2 if silent else 1) and 2 * silent <= len(tried)


def _not_finite(sheet, outcome):
    try:
        return outcome.error is None and not all(
            np.isfinite(one).all() for one in parts(outcome.result, len(sheet.results))
        )
    except ValueError:
        return False


# ---- else what differs ----


def _trouble(sheet, case, outcome, again):
    """What is wrong with one outcome, the plainest reason first."""
    if outcome.error is not None:
        return _stop(outcome.error)
    if outcome.changed:
        names = " and ".join(sheet.parameters[place] for place in outcome.changed)
        return f"it changes what it was given ({names}); work on a copy"
    if outcome.result is None:
        return "it gives nothing back (None): is the line with `return` missing?"
    if inspect.isgenerator(outcome.result) or inspect.iscoroutine(outcome.result):
        return "it gives a generator back; write `return` instead of `yield`"
    difference = _difference(sheet, case, outcome)
    if again.error is None and _difference(sheet, case, again) != difference:
        return f"{difference}. Called again with the same, it gives another result: use only what is given"
    return difference


def _stop(error):
    line = students_line(error)
    where = f", in your {line}" if line else ""
    if isinstance(error, TooLongError):
        return f"it does not end: stopped after some seconds{where}"
    if isinstance(error, SystemExit):
        return f"it ends the whole program (SystemExit){where}"
    if isinstance(error, RecursionError):
        return f"it calls itself without end{where}"
    return f"it stops with {one_line(error)}{where}"


def _difference(sheet, case, outcome):
    """In which shape or number a result differs from the right one, or ""."""
    count = len(sheet.results)
    try:
        found = parts(outcome.result, count)
    except ValueError as error:
        return f"expected numbers ({', '.join(sheet.results)}), but the result {error}"
    if len(found) != count:
        wanted = f"{count} results ({', '.join(sheet.results)})" if count > 1 else f"one result ({sheet.results[0]})"
        return f"expected {wanted}, got {len(found)}"
    right = case.accepted[0]
    for name, one, other in zip(sheet.results, found, right, strict=True):
        if one.shape != other.shape and not (one.size == other.size == 1 and not other.ndim):
            return _of_shape(name, one, other)
    differences = [_of_numbers(*three) for three in zip(sheet.results, found, right, strict=True)]
    return next((one for one in differences if one), "")


def _of_shape(name, found, right):
    hint = "; it looks transposed" if found.shape == right.shape[::-1] and right.ndim > 1 else ""
    if found.shape == (1, *right.shape):
        hint = "; a comma behind the result makes it a tuple"
    return f"{name} should have shape {right.shape}, has {found.shape}{hint}"


def _of_numbers(name, found, right):
    wrong = wrong_places(found, right)
    if not wrong.any():
        return ""
    found = found.reshape(right.shape)
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    where = f"[{', '.join(map(str, place))}]" if place else ""
    share = f" ({wrong.size - wrong.sum()} of {wrong.size} are right)" if wrong.size > 1 else ""
    said = f"{name}{where} should be {right[place]:.6g}, is {found[place]:.6g}{share}"
    if np.isfinite(found[place]):
        return said
    return f"{said}; 0 / 0, an overflow, the log of 0 or the root of a negative number makes such a value"

"""What a check asks: cases with their arguments, the right results, and what typical mistakes would give.

A sheet holds numbers and sentences, no code, and travels as JSON: a course can hand out checks without solutions.
"""

import base64
import json
import zlib
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

CLOSE = 1e-4  # of the largest right value: what float32 gives, and what the exercises' text promises
SMALL = 0.1  # and no finer than that of this


@dataclass(frozen=True)
class Case:
    """One call of a student's function.

    arguments: what it is given, in order. accepted: the right results, more than one where the text leaves a choice;
    each a list of float64 arrays. mistaken: {what is told: such a list for that mistake; a result of None is an error}.
    remark: what is told of a case in which the text leaves the student free: it never makes an answer wrong.
    """

    description: str
    arguments: tuple
    accepted: list
    mistaken: dict
    remark: str = ""


@dataclass(frozen=True)
class Sheet:
    """All that `check` knows about an exercise.  parameters and results: names, in order; cases: the smallest first."""

    name: str
    parameters: tuple
    results: tuple
    cases: list


def numbers(value):
    """A number, array, tensor, or (nested) list of them as a float64 array.

    Raises ValueError with what it is instead.
    """
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().to_dense().resolve_conj().resolve_neg()
        value = value.double().numpy() if value.is_floating_point() else value.numpy()
    elif isinstance(value, list | tuple):
        try:
            value = np.array([numbers(one) for one in value])
        except ValueError as error:
            raise ValueError(
                str(error) if str(error).startswith("holds ") else "holds rows of different lengths"
            ) from None
    elif isinstance(value, str | bytes | dict | set | frozenset) or callable(value) or value is None:
        raise ValueError(f"holds {_kind(value)}")
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "iufO":
            raise TypeError
        return array.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"holds {_kind(value)}") from None


def _kind(value):
    kinds = {str: "text", type(None): "None", dict: "a dict", set: "a set, which has no order"}
    if callable(value):
        return "a function that was not called"
    if hasattr(value, "dtype"):
        return f"{value.dtype} values"
    return kinds.get(type(value), f"a {type(value).__name__}")


def parts(result, count):
    """The results of a function as a list of float64 arrays: count of them, or as many as came.

    Several results may come as a tuple, a list or one array, as all of them unpack. Raises ValueError with what
    is wrong.
    """
    try:
        return _parts(result, count)
    except ValueError:
        raise
    except Exception:  # objects can fail in any way when they are read
        raise ValueError(f"holds what cannot be read as numbers: a {type(result).__name__}") from None


def _parts(result, count):
    if count == 1:
        try:
            return [numbers(result)]
        except ValueError:
            if not isinstance(result, tuple):
                raise
            return [numbers(one) for one in result]
    if isinstance(result, torch.Tensor | np.ndarray) and result.ndim:
        result = list(result)
    return [numbers(one) for one in result] if isinstance(result, list | tuple) else [numbers(result)]


def close(found, right):
    """Whether lists of arrays agree, shapes too; nan equals nan.  One number may stand in an array of its own."""
    return len(found) == len(right) and all(
        (one.shape == other.shape or one.size == other.size == 1 and not other.ndim)
        and not wrong_places(one, other).any()
        for one, other in zip(found, right, strict=True)
    )


def wrong_places(found, right):
    """Where an array differs from the right one by more than CLOSE of the largest right value, as booleans."""
    finite = np.abs(right[np.isfinite(right)])
    scale = finite.max(initial=SMALL)
    return ~np.isclose(found.reshape(right.shape), right, rtol=0, atol=CLOSE * scale, equal_nan=True)


# ---- as JSON ----


def write_sheets(sheets):
    """Sheets as JSON text."""
    return json.dumps([asdict(sheet) for sheet in sheets], default=_plain, separators=(",", ":"))


def _plain(value):
    kind = str(value.dtype).removeprefix("torch.")
    if not isinstance(value, torch.Tensor):  # a result: nine digits are more than the comparison asks for
        value = np.vectorize(lambda one: float(f"{one:.9g}"), otypes=[float])(value)
    return {"is": "tensor" if isinstance(value, torch.Tensor) else "array", "of": kind, "values": value.tolist()}


def read_sheets(text):
    """{name: Sheet} from JSON text."""
    found = {}
    for sheet in json.loads(text, object_hook=_revived):
        cases = [Case(**dict(case, arguments=_tuples(case["arguments"]))) for case in sheet["cases"]]
        found[sheet["name"]] = Sheet(sheet["name"], tuple(sheet["parameters"]), tuple(sheet["results"]), cases)
    return found


def pack(sheet):
    """A Sheet without its mistakes as a line of text, for a cell that grades."""
    bare = replace(sheet, cases=[replace(case, mistaken={}) for case in sheet.cases if not case.remark])
    return base64.b85encode(zlib.compress(write_sheets([bare]).encode(), 9)).decode()


def unpack(text):
    """The Sheet of a line of text that `pack` made."""
    (sheet,) = read_sheets(zlib.decompress(base64.b85decode(text)).decode()).values()
    return sheet


def _revived(value):
    if value.get("is") == "tensor":
        return torch.tensor(value["values"], dtype=getattr(torch, value["of"]))
    return np.array(value["values"], dtype=value["of"]) if value.get("is") == "array" else value


def _tuples(arguments):
    """JSON knows no tuples: a list of layers is a list of tuples again."""
    return tuple([tuple(row) for row in one] if isinstance(one, list) else one for one in arguments)

"""What a setting may be: its type, the words for it, and what holds for its values.

width: Positive = 1.0        # the field of a record
checked("train.width", "abc", Positive)   # SettingsError: train.width must be a positive number, got 'abc'
"""

import math
from typing import Annotated, get_type_hints

OBJECTIVES = ("regression", "classification", "rebalanced")
NETWORKS = ("paper", "unnormalized", "encoder")
INITIALIZATIONS = ("kmeans", "he", "gaussian")
PRECISIONS = ("auto", "bf16-mixed", "32-true")
SOURCES = ("world", "bundled", "folder", "imagenette", "shards")
UNSEEN_SOURCES = ("second", "folder", "voc")
PUZZLES = ("gray mean", "shared texture", "rare paint")
LAYERS = tuple(f"conv{number}" for number in range(1, 9))


class SettingsError(ValueError):
    """A setting that there is not, that is missing, of a wrong type or out of its range: one line that names it."""


def one_of(*names):
    """The kind of a text that is one of the names."""
    return Annotated[str, f"one of {', '.join(names)}", names.__contains__]


def whole(least):
    """The kind of a whole number that is not under the least."""
    return Annotated[int, f"a whole number, at least {least}", lambda number: number >= least]


def some_of(*names):
    """A list of names, each once."""
    holds = lambda found: found and set(found) <= set(names) and len(set(found)) == len(found)
    return Annotated[tuple, f"a list, of {', '.join(names)}", holds]


def _are_classifiers(names):
    return names and all(
        isinstance(name, str) and (name in ("trained", "lite0") or name.startswith(("hub:", "timm:", "lite0:")))
        for name in names
    )


def _is_start(name):
    return name in INITIALIZATIONS or name.endswith(".safetensors")


Text = Annotated[str, "text", lambda text: True]
Switch = Annotated[bool, "true or false", lambda value: True]
Positive = Annotated[float, "a positive number", lambda number: number > 0]
NotNegative = Annotated[float, "a number, at least 0", lambda number: number >= 0]
Share = Annotated[float, "a number from 0 to 1", lambda number: 0 <= number <= 1]
Decay = Annotated[float, "a number, at least 0 and below 1", lambda number: 0 <= number < 1]
Grain = Annotated[float, "a number from 0 to 100 (L)", lambda number: 0 <= number <= 100]
Fading = Annotated[float, "a number, at least 0 and below .5", lambda number: 0 <= number < 0.5]
Neighbours = Annotated[int, "a whole number from 1 to 313", lambda number: 1 <= number <= 313]
Crop = Annotated[int, "a multiple of 8, at least 16 (pixels)", lambda side: side >= 16 and side % 8 == 0]
Start = Annotated[
    str, f"one of {', '.join(INITIALIZATIONS)}, or a .safetensors file of weights to go on from", _is_start
]
Classifiers = Annotated[tuple, "a list, of trained, lite0, hub:NAME_OR_FOLDER, timm:NAME", _are_classifiers]


# ---- checking ----


def checked(name, value, kind):
    """The value in its type: a whole number where a fraction may stand becomes a float, a list a tuple.

    kind: one of those of this file.  Raises SettingsError that calls the setting by `name`.
    """
    wanted, (words, holds) = kind.__origin__, kind.__metadata__
    if wanted is float and type(value) is int or wanted is int and type(value) is float and value.is_integer():
        value = wanted(value)
    if wanted is tuple and isinstance(value, list):
        value = tuple(value)
    if type(value) is not wanted or wanted is float and not math.isfinite(value) or not holds(value):
        raise SettingsError(f"{name} must be {words}, got {_shown(value)}")
    return value


def _shown(value):
    """A value as an error quotes it: a hundred letters at most."""
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def check_record(record):
    """Check a frozen record that was made by hand, and give its values their types."""
    for name, kind in get_type_hints(type(record), include_extras=True).items():
        object.__setattr__(record, name, checked(name, getattr(record, name), kind))


def expect(condition, rule, value):
    """Raise ValueError, "<rule>, got <value>", unless the condition holds."""
    if not condition:
        raise ValueError(f"{rule}, got {value!r}")

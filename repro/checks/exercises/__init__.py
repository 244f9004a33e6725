"""The exercises, one a file: solution, cases, mistakes.

Only here is code that solves them; a course hands out none of it.
"""

import functools
import warnings
import zlib
from collections.abc import Mapping

import numpy as np

from repro.checks.cases import Case, Sheet, parts
from repro.checks.exercises import (
    annealed_mean,
    auc,
    bootstrap_error,
    gamut_bins,
    gradient,
    predict_world,
    probe_scores,
    rebalancing_weights,
    receptive_field,
    soft_encode,
)

EXERCISES = {
    module.EXERCISE.solution.__name__: module.EXERCISE
    for module in (
        gamut_bins,
        rebalancing_weights,
        soft_encode,
        receptive_field,
        gradient,
        annealed_mean,
        auc,
        bootstrap_error,
        probe_scores,
        predict_world,
    )
}


class Sheets(Mapping):
    """{name: Sheet} of all exercises for a seed, each drawn when it is asked for."""

    def __init__(self, seed):
        self.seed = seed

    def __getitem__(self, name):
        return sheet(name, self.seed)

    def __iter__(self):
        return iter(EXERCISES)

    def __len__(self):
        return len(EXERCISES)

    def __contains__(self, name):
        return name in EXERCISES


@functools.lru_cache(maxsize=64)
def sheet(name, seed):
    """The Sheet of an exercise: cases drawn from a seed, and what solution and mistakes give for them."""
    exercise = EXERCISES[name]
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    cases = [_case(exercise, *drawn) for drawn in exercise.draw(rng)]
    return Sheet(name, exercise.parameters, exercise.results, cases)


def _case(exercise, description, arguments, remark=""):
    accepted = [_parts(one, arguments, exercise) for one in (exercise.solution, *exercise.also_right)]
    mistaken = {}
    for told, functions in exercise.mistakes.items():
        functions = functions if isinstance(functions, tuple) else (functions,)
        mistaken[told] = [_parts(one, arguments, exercise) for one in functions]
    return Case(description, arguments, accepted, mistaken, remark)


def _parts(function, arguments, exercise):
    """What a function gives, as arrays, or None if it stops."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a mistake may divide by nothing
            result = function(*arguments)
    except Exception:  # a mistake may be one that stops in some cases
        return None
    return parts(result, len(exercise.results))

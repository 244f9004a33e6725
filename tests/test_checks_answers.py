"""Answers of the kind that students write, each judged.

What is right passes, what is wrong does not, and mistakes are named.

tests/answers/EXERCISE.txt holds them: each below a line `#: right: its style` or `#: wrong: a part of what the student
is told`.
"""

import math
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from repro.checks import check, running
from repro.checks.exercises import EXERCISES

FOLDER = Path(__file__).parent / "answers"


def answers():
    """Each answer as (exercise, line, verdict, note, code), its code on the lines that it has in the file."""
    for path in sorted(FOLDER.glob("*.txt")):
        lines = path.read_text(encoding="utf-8").splitlines()
        begins = [number for number, line in enumerate(lines) if line.startswith("#: ")]
        for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True):
            verdict, note = lines[begin].removeprefix("#: ").split(": ", 1)
            yield path.stem, begin + 1, verdict, note, "\n" * begin + "\n".join(lines[begin:end])


ANSWERS = list(answers())
NAMES = [f"{exercise}-{line}" for exercise, line, *_ in ANSWERS]


def function_of(exercise, code):
    space = {"torch": torch, "np": np, "math": math}
    exec(compile(code, str(FOLDER / f"{exercise}.txt"), "exec"), space)
    return space[exercise]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """An endless loop is given up sooner than in class."""
    monkeypatch.setattr(running, "LIMIT", 2.0)


@pytest.mark.parametrize(("exercise", "line", "verdict", "note", "code"), ANSWERS, ids=NAMES)
def test_an_answer(exercise, line, verdict, note, code):
    found = check(function_of(exercise, code))
    assert bool(found) == (verdict == "right"), found
    if verdict == "wrong":
        assert found.state == "not yet right" and note in found.message.replace("\n", " ")
    lines = [short for one in repr(found).splitlines() for short in textwrap.wrap(one, 100)]
    assert len(lines) <= 5, "a student reads five lines"


@pytest.mark.parametrize(("exercise", "line", "verdict", "note", "code"), ANSWERS, ids=NAMES)
def test_an_answer_on_other_cases(exercise, line, verdict, note, code):
    """No verdict hangs on the cases of one seed."""
    if "does not end" not in note:
        assert bool(check(function_of(exercise, code), seed=2016)) == (verdict == "right")


def test_every_exercise_has_right_and_wrong_answers():
    for name in EXERCISES:
        verdicts = [verdict for exercise, _, verdict, *_ in ANSWERS if exercise == name]
        assert verdicts.count("right") >= 3 and verdicts.count("wrong") >= 15, name

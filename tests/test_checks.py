"""Every check on its solution, its stub and every mistake that it names; and the notebooks that they stand in."""

import json

import numpy as np
import pytest
import torch

from repro.__main__ import main
from repro.checks import EXERCISES, check
from repro.checks import notebooks as exercises

MISTAKES = [(name, told) for name, exercise in EXERCISES.items() for told in exercise.mistakes]


def named(name, function):
    def student(*arguments):
        return function(*arguments)

    student.__name__ = name
    return student


def of_notebook(path):
    """The functions that a notebook defines, by running its code without the checks' output."""
    space = {}
    for cell in exercises.read(path)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and not source.startswith("check("):
            exec(source, space)
    return {name: space[name] for name in EXERCISES if name in space}


SOLVED = {name: f for path in exercises.sources() for name, f in of_notebook(path).items()}
STUBS = {name: f for path in sorted(exercises.FOLDER.glob("*.ipynb")) for name, f in of_notebook(path).items()}


# ---- every check ----


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_is_right(name):
    assert check(SOLVED[name]), check(SOLVED[name])
    assert check(named(name, EXERCISES[name].solution))


@pytest.mark.parametrize("name", EXERCISES)
def test_an_untouched_stub_is_not_tried_yet(name):
    found = check(STUBS[name])
    assert found.state == "not tried yet" and not found and "not tried yet" in repr(found)

    def raises(*arguments):
        raise NotImplementedError

    assert check(named(name, raises)).state == "not tried yet"


@pytest.mark.parametrize(("name", "told"), MISTAKES)
def test_every_mistake_is_named(name, told):
    found = check(named(name, EXERCISES[name].mistakes[told]))
    assert found.state == "not yet right" and told in found.message
    others = set(EXERCISES[name].mistakes) - {told}
    assert not any(other in found.message for other in others)


@pytest.mark.parametrize("name", EXERCISES)
def test_the_same_function_gets_the_same_answer(name):
    almost = named(name, lambda *arguments: 0.5)
    assert check(almost) == check(almost) and check(almost).state == "not yet right"


# ---- what else can be wrong ----


def about(name, change):
    solution = SOLVED[name]
    return check(named(name, lambda *arguments: change(solution(*arguments), *arguments))).message


def test_shapes_come_first():
    assert "ab should have shape (1, 2), has (1, 3)" in about("annealed_mean", lambda ab, *_: ab.new_zeros(1, 3))
    turned = about("probe_scores", lambda scores, *_: scores.T)
    assert "scores should have shape (12, 3), has (3, 12); it looks transposed" in turned
    assert "expected 2 results (indices, weights), got 1" in about("soft_encode", lambda both, *_: both[0])
    assert "auc should have shape (), has (3,)" in about("auc", lambda value, p, t, w: w)


def test_then_what_is_no_number():
    naive = named("annealed_mean", lambda x, b, t: torch.exp(x / t) / torch.exp(x / t).sum(1, keepdim=True) @ b)
    assert "logits in the hundreds: ab holds nan or infinity" in check(naive).message
    assert "weights should be numbers" in about("rebalancing_weights", lambda *_: "many")


def test_then_the_first_value_that_differs():
    def spoiled(both, *_):
        indices, weights = both
        weights = weights.clone()
        weights[-1, -1] += 0.25
        return indices, weights

    message = about("soft_encode", spoiled)
    assert "one colour by hand: weights[0, 1] should be 0.1679" in message and "(1 of 2 are right)" in message


def test_numpy_and_plain_numbers_are_welcome():
    assert check(named("auc", lambda p, t, w: float(SOLVED["auc"](p, t, w))))
    assert check(named("gamut_bins", lambda points, spacing: SOLVED["gamut_bins"](points, spacing).numpy()))
    assert check(named("receptive_field", lambda layers: tuple(np.array(SOLVED["receptive_field"](layers)))))


def test_code_that_stops_is_explained_with_its_line():
    def auc(predicted, true, weights):
        return predicted[99]

    message = check(auc).message
    assert "it stops with IndexError" in message and "`return predicted[99]`" in message


def test_changing_what_was_given_is_noticed():
    def auc(predicted, true, weights):
        predicted -= true
        return 1.0

    predicted = EXERCISES["auc"].cases["weighted"][0].clone()
    assert "it changes what it was given" in check(named("auc", lambda p, t, w: auc(p, t + 1, w))).message
    assert torch.equal(EXERCISES["auc"].cases["weighted"][0], predicted), "and the next student is not hurt"


def test_another_name_is_no_exercise():
    with pytest.raises(ValueError, match="there is no exercise 'psnr'; there are gamut_bins"):
        check(named("psnr", lambda: 0))


# ---- the notebooks ----


def test_every_exercise_stands_in_a_notebook():
    assert set(SOLVED) == set(STUBS) == set(EXERCISES)
    numbers = [path.name[:2] for path in exercises.sources()]
    assert numbers == ["01", "02", "03", "04", "05", "06", "08", "09"]


@pytest.mark.parametrize("source", exercises.sources(), ids=lambda path: path.stem)
def test_students_notebooks_are_those_of_the_solutions(source):
    """`python -m repro exercises` writes them anew."""
    student = exercises.read(exercises.FOLDER / source.name)
    assert student == exercises.student_version(exercises.read(source))
    text = json.dumps(student)
    assert "SOLUTION" not in text and exercises.STUB in text


def test_a_mark_without_its_end_is_refused():
    cell = {"cell_type": "code", "source": [exercises.BEGIN], "metadata": {}}
    with pytest.raises(ValueError, match="without its"):
        exercises.student_version({"cells": [cell]})


def test_the_export_for_nbgrader(tmp_path, capsys):
    """Marked as nbgrader's schema has it, each id once; what it clears and grades is what students get."""
    assert main(["exercises", "--nbgrader", str(tmp_path)]) == 0
    written = sorted(tmp_path.glob("source/*/*.ipynb"))
    assert [path.parent.name for path in written] == [path.stem for path in exercises.sources()]
    for path in written:
        marks = [cell["metadata"]["nbgrader"] for cell in exercises.read(path)["cells"]]
        assert len({mark["grade_id"] for mark in marks}) == len(marks)
        names = {mark["grade_id"] for mark in marks if mark["solution"]}
        graded = {mark["grade_id"] for mark in marks if mark["grade"]}
        assert names and graded == {f"check_{name}" for name in names}
        for cell in exercises.read(path)["cells"]:
            if cell["metadata"]["nbgrader"]["grade"]:
                space = dict(SOLVED, check=check)
                exec("".join(cell["source"]), space)
                with pytest.raises(AssertionError, match="not tried yet"):
                    exec("".join(cell["source"]), dict(STUBS, check=check))

"""Every check on its solution, its stub and every mistake that it names; and the notebooks that they stand in."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from repro import decoding, encoding, paths
from repro.__main__ import main
from repro.checks import cases, check, grade, tally
from repro.checks import notebooks as exercises
from repro.checks.course import CODE_POINTS, TEXT_POINTS
from repro.checks.exercises import EXERCISES, sheet
from repro.evaluation import paired, raw_accuracy
from repro.evaluation.paired import FAILS, HOLDS, OPEN
from repro.pages.claims import LEVEL
from repro.prior import rebalancing_weights, smooth

MISTAKES = [
    (name, told, function)
    for name, exercise in EXERCISES.items()
    for told, functions in exercise.mistakes.items()
    for function in (functions if isinstance(functions, tuple) else (functions,))
]


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


@pytest.mark.parametrize("seed", [0, 1, 2016])
@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_is_right_whatever_is_drawn(name, seed):
    assert check(SOLVED[name], seed=seed), check(SOLVED[name], seed=seed)
    assert check(named(name, EXERCISES[name].solution), seed=seed)
    assert "\n" not in check(SOLVED[name], seed=seed).message, "the model solution leaves nothing to remark"


@pytest.mark.parametrize("name", EXERCISES)
def test_an_untouched_stub_is_not_tried_yet(name):
    found = check(STUBS[name])
    assert found.state == "not tried yet" and not found and "not tried yet" in repr(found)

    def raises(*arguments):
        raise NotImplementedError

    raises.__name__ = name
    assert check(raises).state == "not tried yet"


def test_work_without_return_counts_as_tried():
    def auc(predicted, true, weights):
        distance = (predicted - true).norm(dim=1)
        distance.clamp(max=150)

    def nothing(predicted, true, weights):
        return 0.5

    assert "is the line with `return` missing?" in check(auc).message
    assert check(nothing, "auc").state == "not yet right", "a number is an answer, though a wrong one"


@pytest.mark.parametrize(("name", "told", "function"), MISTAKES)
@pytest.mark.parametrize("seed", [0, 7])
def test_every_mistake_is_named(name, told, function, seed):
    found = check(named(name, function), seed=seed)
    assert found.state == "not yet right" and told in found.message


@pytest.mark.parametrize("name", EXERCISES)
def test_the_same_function_gets_the_same_answer(name):
    almost = named(name, lambda *arguments: 0.5)
    assert check(almost) == check(almost) and check(almost).state == "not yet right"


@pytest.mark.parametrize("name", EXERCISES)
def test_another_seed_draws_other_cases(name):
    one, same, other = (cases.write_sheets([sheet.__wrapped__(name, seed)]) for seed in (0, 0, 1))
    assert one == same != other
    again = cases.read_sheets(one)[name]
    assert cases.write_sheets([again]) == one, "a sheet survives the way through JSON"


# ---- solutions are those of the library ----


def of_every_case(name, library):
    exercise = EXERCISES[name]
    for case in sheet(name, 3).cases:
        found = cases.parts(library(*case.arguments), len(exercise.results))
        assert any(cases.close(found, right) for right in case.accepted), case.description


def test_solutions_agree_with_the_library():
    of_every_case("auc", raw_accuracy.auc)
    of_every_case("rebalancing_weights", lambda p, b, s, mix: rebalancing_weights(smooth(p, b, s), mix))
    of_every_case("annealed_mean", lambda x, b, t: decoding.annealed_mean(x[:, :, None, None], b, t)[:, :, 0, 0])
    for case in sheet("soft_encode", 3).cases:
        if not case.remark:
            assert cases.close(cases.parts(encoding.soft_encode(*case.arguments), 2), case.accepted[0])


def test_solutions_take_single_precision_and_whole_numbers_too():
    photographs = sheet("probe_scores", 0).cases[3].arguments
    single = [one.float() if torch.is_tensor(one) and one.is_floating_point() else one for one in photographs]
    for solution in (SOLVED["probe_scores"], EXERCISES["probe_scores"].solution):
        assert np.allclose(solution(*single), solution(*photographs), atol=1e-4)
    whole = torch.tensor([[3, 4]]), torch.tensor([[0, 0]]), torch.tensor([2])
    assert float(SOLVED["auc"](*whole)) == pytest.approx(1 - 5 / 150)
    far = torch.tensor([[300.0, 290]]), torch.tensor([[0.0, 0], [0, 10]]), 2, 5.0
    assert SOLVED["soft_encode"](*far)[1].sum().item() == pytest.approx(1)


# ---- what else can be wrong ----


def about(name, change):
    solution = SOLVED[name]
    return check(named(name, lambda *arguments: change(solution(*arguments), *arguments))).message


def test_shapes_come_first():
    assert "ab should have shape (1, 2), has (1, 3)" in about("annealed_mean", lambda ab, *_: ab.new_zeros(1, 3))
    turned = about("probe_scores", lambda scores, *_: scores.T)
    assert "scores should have shape (1, 2), has (2, 1); it looks transposed" in turned
    assert "expected 2 results (indices, weights), got 1" in about("soft_encode", lambda both, *_: both[0])
    assert "auc should have shape (), has (3,)" in about("auc", lambda value, p, t, w: w)


def test_then_what_is_no_number():
    nan = about("bootstrap_error", lambda error, *_: float("nan"))
    assert "error should be 0.2, is nan; 0 / 0, an overflow, the log of 0 or the root of a negative" in nan
    assert "expected numbers (weights), but the result holds text" in about("rebalancing_weights", lambda *_: "many")
    assert "holds a function that was not called" in about("auc", lambda *_: len)
    assert "holds a bool" in about("auc", lambda *_: True)


def test_then_the_first_value_that_differs():
    def spoiled(both, *_):
        indices, weights = both
        weights = weights.clone()
        weights[-1, -1] += 0.25
        return indices, weights

    message = about("soft_encode", spoiled)
    assert "the colour by hand: ab = [[0, 1]], bins = [[0, 0], [0, 10], [0, -10]], neighbours = 2" in message
    assert "weights[0, 1] should be 0.167982, is 0.417982 (1 of 2 are right)" in message


def test_numpy_and_plain_numbers_are_welcome():
    assert check(named("auc", lambda p, t, w: float(SOLVED["auc"](p, t, w))))
    assert check(named("gamut_bins", lambda points, spacing: SOLVED["gamut_bins"](points, spacing).numpy()))
    assert check(named("receptive_field", lambda layers: np.array(SOLVED["receptive_field"](layers))))
    assert check(named("soft_encode", lambda *given: list(SOLVED["soft_encode"](*given))))


def test_a_function_of_another_name_is_known_by_what_it_is_assigned_to():
    auc = lambda p, t, w: SOLVED["auc"](p, t, w)  # noqa: E731
    assert check(auc) and check(lambda p, t, w: SOLVED["auc"](p, t, w), "auc")
    unknown = check(lambda: 0)
    assert (
        unknown.state == "not yet right" and "there is no exercise '<lambda>'; there are gamut_bins" in unknown.message
    )
    assert "there is no exercise 'psnr'" in check(named("psnr", len)).message
    auc = 0.6
    assert "give the function itself, check(auc)" in check(auc).message


def test_whatever_a_function_does_the_answer_is_a_sentence(capsys):
    def itself(predicted, true, weights):
        print("a line for every case")
        result = []
        result.append(result)
        return result

    class Silent(BaseException):
        def __str__(self):
            raise RuntimeError

    def silent(predicted, true, weights):
        raise Silent

    assert "cannot be read as numbers: a list" in check(itself, "auc").message
    assert "it stops with Silent, in your line" in check(silent, "auc").message
    assert check(print, "auc").state == check(3, "auc").state == check("auc").state == "not yet right"
    assert not capsys.readouterr().out, "five lines are read, not one a case"


def test_the_next_student_is_not_hurt_by_what_one_changes():
    def auc(predicted, true, weights):
        predicted -= true
        return 1.0

    before = [case.arguments[0].clone() for case in sheet("auc", 0).cases]
    assert not check(auc)
    assert all(map(torch.equal, before, (case.arguments[0] for case in sheet("auc", 0).cases)))


def test_grades_are_shares_of_the_cases():
    half = named("auc", lambda p, t, w: SOLVED["auc"](p, t, torch.ones_like(w)))
    unseen = sheet("auc", 99)
    assert grade(SOLVED["auc"], unseen, 5) == 5 and grade(STUBS["auc"], unseen, 5) == 0
    assert 0 < grade(half, unseen, 5) < 5 and grade("no function", unseen, 5) == 0


# ---- the notebooks ----


def test_every_exercise_stands_in_a_notebook():
    assert set(SOLVED) == set(STUBS) == set(EXERCISES)
    numbers = [path.name[:2] for path in exercises.sources()]
    assert numbers == ["00", "01", "02", "03", "04", "05", "06", "08", "09", "13"]


@pytest.mark.parametrize("source", exercises.sources(), ids=lambda path: path.stem)
def test_students_notebooks_are_those_of_the_solutions(source):
    """`python -m repro exercises` writes them anew."""
    student = exercises.read(exercises.FOLDER / source.name)
    assert student == exercises.student_version(exercises.read(source))
    assert "SOLUTION" not in json.dumps(student) and not exercises.edited(exercises.FOLDER / source.name)


def test_every_function_has_two_hints_and_a_reason_and_every_question_an_answer():
    counts = Counter()
    for path in exercises.sources():
        tags = [exercises.tag(cell) for cell in exercises.read(path)["cells"]]
        counts.update(tags)
        for place, tag in enumerate(tags):
            if tag == "question":
                assert tags[place : place + 3] == ["question", "reply", "answer"], path.name
        hints = [exercises.text(cell) for cell in exercises.read(path)["cells"] if exercises.tag(cell) == "hint"]
        assert all(hint.count("<details>") == 2 for hint in hints)
    assert counts["hint"] == counts["why"] == len(EXERCISES) and counts["question"] == 48


def test_the_questions_of_the_pages_are_those_at_the_pages_ends():
    cells = exercises.read(exercises.sources()[0])["cells"]
    asked = [exercises.text(cell).split("** ", 1)[1] for cell in cells if exercises.tag(cell) == "question"]
    found = []
    for page in sorted(paths.NOTEBOOKS.glob("*.ipynb")):
        last = exercises.text(exercises.read(page)["cells"][-1])
        numbered = re.findall(r"^\d\. ((?:.+\n?)(?:   .+\n?)*)", last, flags=re.M)
        found += [" ".join(one.split()) for one in numbered]
    assert asked == found


def test_a_mark_without_its_end_is_refused():
    cell = {"cell_type": "code", "source": [exercises.BEGIN], "metadata": {}}
    with pytest.raises(ValueError, match="without its"):
        exercises.student_version({"cells": [cell], "metadata": {}})


def test_nothing_that_somebody_edited_is_written_over(tmp_path, capsys):
    for arguments in (["--course", str(tmp_path)], ["--nbgrader", str(tmp_path)]):
        capsys.readouterr()
        assert main(["exercises", *arguments]) == 0
        made = Path(capsys.readouterr().out.splitlines()[1].strip())
        assert main(["exercises", *arguments]) == 0, "what nobody edited is made anew"
        notebook = exercises.read(made)
        notebook["cells"][0]["source"] = ["# My own title"]
        made.write_text(json.dumps(notebook))
        assert main(["exercises", *arguments]) == 1
        said = capsys.readouterr().err
        assert f"{made} was edited since it was made" in said and len(said.splitlines()) == 1
        assert exercises.read(made)["cells"][0]["source"] == ["# My own title"]
        assert main(["exercises", *arguments, "--force"]) == 0 and not exercises.edited(made)


# ---- a course ----


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course")
    assert main(["exercises", "--course", str(folder)]) == main(["exercises", "--nbgrader", str(folder)]) == 0
    return folder


def solution_lines():
    """Lines of code that solve something, from the notebooks and from the exercises' modules."""
    for path in exercises.sources():
        for cell in exercises.read(path)["cells"]:
            found = re.search(rf"{exercises.BEGIN}\n(.*?){exercises.END}", exercises.text(cell), flags=re.S)
            yield from (line.strip() for line in found[1].splitlines() if len(line) > 12) if found else ()


def test_what_is_handed_out_holds_no_solution(course):
    handed = {path: path.read_text(encoding="utf-8") for path in (course / "handout").rglob("*") if path.is_file()}
    assert len(handed) == len(exercises.sources()) + 7
    lines = set(solution_lines())
    assert len(lines) > 15
    for path, content in handed.items():
        assert not any(json.dumps(line)[1:-1] in content for line in lines), path
        assert path.suffix != ".ipynb" or "](../" not in content and "details><summary>An answer" not in content
    teacher = "".join(path.read_text(encoding="utf-8") for path in (course / "teacher").glob("*.ipynb"))
    assert all(json.dumps(line, ensure_ascii=False)[1:-1] in teacher for line in lines)


def test_answers_are_the_teachers_to_show(tmp_path):
    assert main(["exercises", "--course", str(tmp_path), "--answers"]) == 0
    shown = (tmp_path / "handout" / "04_gradient.ipynb").read_text(encoding="utf-8")
    assert "<summary>An answer</summary>" in shown and "<summary>The solution, and why</summary>" in shown


def run_in(folder, code):
    """What code prints that runs where a course's notebook lies, as in a kernel that was started there."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    return done.stdout + done.stderr


AUC = """
def auc(predicted, true, weights):
    return 1 - (weights * (predicted - true).norm(dim=1).clamp(max=150)).sum() / weights.sum() / 150
"""


def test_checks_run_where_no_solution_is(course):
    code = (
        f"from repro.checks import check\n{AUC}\nprint(check(auc))\nprint(check(lambda p, t, w: (p - t).norm(), 'auc'))"
    )
    said = run_in(course / "handout", code)
    assert "✓ auc: right in all 12 cases" in said and "✗ auc, the distances 5, 20 and 200 by hand" in said
    for name in ("repro.checks.exercises", "repro.evaluation.raw_accuracy", "repro.encoding"):
        assert "ModuleNotFoundError" in run_in(course / "handout", f"import {name}")


def grading(course, stem, name):
    """The folder and the code that nbgrader runs to grade a function."""
    path = course / "source" / stem / f"{stem}.ipynb"
    cells = exercises.read(path)["cells"]
    cell = next(one for one in cells if one["metadata"]["nbgrader"]["grade_id"] == f"check_{name}")
    *before, last, _ = exercises.text(cell).splitlines()
    return path.parent, "\n".join([*before, f"print('points', {last})"])


@pytest.mark.slow
def test_grades_of_unseen_cases(course):
    folder, code = grading(course, "06_raw_accuracy", "auc")
    assert "points 5.0" in run_in(folder, AUC + code)
    points = run_in(folder, AUC.replace("weights * ", "").replace("weights.sum()", "len(weights)") + code)
    assert 0 < float(points.split()[-1]) < 5, "some cases have equal weights"
    for cheat in (
        "    from repro.checks.exercises import EXERCISES\n"
        "    return EXERCISES['auc'].solution(predicted, true, weights)",
        "    from repro.checks import EXERCISES\n    return EXERCISES['auc'].solution(predicted, true, weights)",
        "    from repro.evaluation.raw_accuracy import auc\n    return auc(predicted, true, weights)",
        "    from repro.checks import _sheets\n    cases = _sheets(0)['auc'].cases\n"
        "    return next(float(c.accepted[0][0]) for c in cases if c.arguments[0].equal(predicted))",
    ):
        said = run_in(folder, f"def auc(predicted, true, weights):\n{cheat}\n{code}")
        assert "points" in said and float(said.split()[-1]) <= 0.5, cheat  # the example by hand is the same for all


def test_the_export_for_nbgrader(course):
    """Marked as nbgrader's schema has it, each id once; every function is graded, every answer in words has points."""
    written = sorted(course.glob("source/*/*.ipynb"))
    assert [path.parent.name for path in written] == [path.stem for path in exercises.sources()]
    graded, replies = set(), 0
    for path in written:
        marks = [cell["metadata"]["nbgrader"] for cell in exercises.read(path)["cells"]]
        assert len({mark["grade_id"] for mark in marks}) == len(marks)
        assert all(("points" in mark) == mark["grade"] and mark["locked"] != mark["solution"] for mark in marks)
        graded |= {mark["grade_id"] for mark in marks if mark["grade"] and not mark["solution"]}
        replies += sum(mark["grade"] and mark["solution"] for mark in marks)
    assert graded == {f"check_{name}" for name in EXERCISES} and replies == 48


# ---- the rubric ----


RUBRIC = (paths.ROOT / "docs/teaching.md").read_text(encoding="utf-8").split("## A rubric")[1].split("\n## ")[0]


@pytest.mark.parametrize(
    ("name", "told", "points"), re.findall(r"^\| `(\w+)` \| (.*) \| ([\d. to]+) \|$", RUBRIC, re.M)
)
def test_the_rubric_gives_the_points_that_the_checks_give(name, told, points):
    """Over the three seeds that it was written with."""
    (mistake,) = (made for sentence, made in EXERCISES[name].mistakes.items() if sentence.startswith(told))
    mistake = mistake[0] if isinstance(mistake, tuple) else mistake
    found = [grade(named(name, mistake), sheet(name, seed), 5) for seed in (11, 12, 13)]
    least, *most = map(float, points.split(" to "))
    assert (min(found), max(found)) == (least, *(most or [least]))


def test_the_rubric_has_a_row_for_every_question_and_the_checks_points():
    assert (
        f"**Functions: {CODE_POINTS} points.**" in RUBRIC and f"**Answers in words: {TEXT_POINTS} points,**" in RUBRIC
    )
    rows = [
        (kind, number, int(place)) for kind, number, place in re.findall(r"^\| (\w+) (\d\d), (\d) \|", RUBRIC, re.M)
    ]
    asked = []
    for path in exercises.sources():
        kind, number = "Exercise", path.name[:2]
        for cell in exercises.read(path)["cells"]:
            page = re.match(r"## \[Page (\d\d)", exercises.text(cell))
            kind, number = ("Page", page[1]) if page else (kind, number)
            if exercises.tag(cell) == "question":
                asked.append((kind, number, int(re.match(r"\*\*(\d)", exercises.text(cell))[1])))
    assert rows == asked and len(rows) == 48


# ---- which mistakes a class has met ----


FORGOTTEN = "the weights are forgotten"
PER_CENT = "this is in per cent; give a number from 0 to 1"


def student_of(folder, *functions):
    """What a student's checks leave in a folder: the tally of these functions, one after the other."""
    folder.mkdir(parents=True)
    for function in functions:
        found = check(named("auc", function))
        tally.note("auc", bool(found), found.mistake, folder)
    return folder / tally.FILE


def test_a_class_sees_which_mistakes_it_has_met(tmp_path, capsys):
    forgotten, per_cent = (EXERCISES["auc"].mistakes[told] for told in (FORGOTTEN, PER_CENT))
    student_of(tmp_path / "a", forgotten, forgotten, SOLVED["auc"])
    student_of(tmp_path / "b", per_cent, forgotten).rename(tmp_path / "b" / "mueller_checks_tally (1).json")
    student_of(tmp_path / "c", lambda *_: 0.123)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / tally.FILE).write_text("[1, 2]")
    capsys.readouterr()
    assert main(["exercises", "--tally", str(tmp_path)]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert (
        lines[0].startswith("3 files.") and not lines[1] and "auc: 3 tried it, 1 got it right, 6 tries in all" in lines
    )
    place = lines.index(f"       2      3  {FORGOTTEN}")
    assert lines[place + 1 :] == [f"       1      1  {PER_CENT}", f"       1      1  {tally.OTHER}"]
    assert said.err == f"set aside: {tmp_path}/d/{tally.FILE}: no tally of the checks, or a broken one\n"
    assert main(["exercises", "--tally", str(tmp_path / "d")]) == 1
    assert "no tally that can be read in" in capsys.readouterr().err


def test_a_tally_holds_counts_and_the_checks_own_words(tmp_path):
    written = json.loads(student_of(tmp_path / "a", EXERCISES["auc"].mistakes[FORGOTTEN]).read_text())
    mine = {"tries": 1, "right": 0, "mistakes": {FORGOTTEN: 1}}
    assert written == {"format": 1, "exercises": {"auc": mine}}


@pytest.mark.parametrize(
    "spoiled",
    [
        '{"format": 1, "exercises": {"auc": {"tries": -1, "right": 0, "mistakes": {}}}}',
        '{"format": 1, "exercises": {"auc": {"tries": true, "right": 0, "mistakes": {}}}}',
        '{"format": 1, "exercises": {"auc": {"tries": 1, "right": 0, "mistakes": ["x"]}}}',
        '{"format": 2, "exercises": {}}',
        "{" * 100_001,
        "[" * 50_000,
    ],
)
def test_what_is_no_tally_is_said_to_be_none(spoiled, tmp_path):
    (tmp_path / tally.FILE).write_text(spoiled)
    with pytest.raises(ValueError, match="no tally of the checks"):
        tally.read(tmp_path / tally.FILE)
    tally.note("auc", True, "", tmp_path)
    assert (tmp_path / tally.FILE).read_text() == spoiled, "a check goes on, and leaves alone what it cannot read"


def test_sentences_that_no_check_says_are_not_shown(tmp_path):
    strange = {"format": 1, "exercises": {"auc": {"tries": 2, "right": 0, "mistakes": {"\x1b[2Jhello": 2}}}}
    (tmp_path / tally.FILE).write_text(json.dumps(strange))
    rows, *_ = tally.of_class(tmp_path, {"auc": EXERCISES["auc"].mistakes})
    assert rows[0]["mistakes"] == [(tally.OTHER, 1, 2)] and "hello" not in tally.table(rows)


IN_A_NOTEBOOK = """
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell.instance()
from repro.checks import check
def auc(predicted, true, weights):
    return 1 - (predicted - true).norm(dim=1).clamp(max=150).mean() / 150
check(auc), check(auc)
"""


def test_students_are_told_once_and_can_say_no(course, tmp_path, monkeypatch):
    handout = tmp_path / "handout"
    shutil.copytree(course / "handout", handout)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv(tally.SETTING, "off")
    assert run_in(handout, IN_A_NOTEBOOK) == "" and not (handout / tally.FILE).exists()
    monkeypatch.delenv(tally.SETTING)
    assert run_in(handout, IN_A_NOTEBOOK.replace("InteractiveShell.instance()", "")) == "", "no notebook, no file"
    assert not (handout / tally.FILE).exists()
    assert run_in(handout, IN_A_NOTEBOOK) == tally.TOLD + "\n", "said when the file is made, not again"
    assert tally.read(handout / tally.FILE)["auc"] == {"tries": 2, "right": 0, "mistakes": {FORGOTTEN: 2}}


# ---- answers that speak of what was recorded ----


def answer_with(words):
    """The one answer of the solutions that has these words."""
    cells = [cell for path in exercises.sources() for cell in exercises.read(path)["cells"]]
    (found,) = [
        text for text in map(exercises.text, filter(lambda c: exercises.tag(c) == "answer", cells)) if words in text
    ]
    return " ".join(found.split())


def test_the_answer_about_gray_holds_in_the_records():
    """Page 12, question 1: where a new record turns a direction round, the answer has to be written anew."""
    answer = answer_with("Plain AuC is decided")
    assert "clearly ahead, in the recorded painted run and on all three collections" in answer
    assert "in the painted run the full model is a little above gray, on Imagenette clearly behind, on the" in answer
    verdict = lambda found: paired.verdict(found["low"], found["high"], -LEVEL, LEVEL)
    world = json.loads((paths.RESULTS / "classroom.json").read_text())["raw_accuracy"]["differences"]
    shipped = json.loads((paths.RESULTS / "shipped.json").read_text())["differences"]
    ahead = [found["rebalanced - gray"] for found in (world, *shipped.values())]
    assert len(shipped) == 3 and all(found["auc_rebalanced"]["low"] > 0.02 for found in ahead)
    assert 0 < ahead[0]["auc"]["low"] < ahead[0]["auc"]["mean"] < 0.05
    said = {name: verdict(found["rebalanced - gray"]["auc"]) for name, found in shipped.items()}
    assert said == {"imagenette": FAILS, "scenes": HOLDS, "bsds500": OPEN}


def test_the_answer_about_the_best_layer_holds_in_the_records():
    """Exercise 09, answer 1."""
    answer = answer_with("Whether conv5 is ahead depends")
    assert "has it ahead of conv1 for `rebalanced` on both collections, and conv2 ahead of both" in answer
    for found in json.loads((paths.RESULTS / "probes.json").read_text())["layers"].values():
        of = found["networks"]["rebalanced"]
        assert of["conv2"] > of["conv5"] > of["conv1"]
    shorter = json.loads((paths.RESULTS / "photographs.json").read_text())["probes"]["09_task_generalization"]
    assert shorter["rebalanced"]["conv5"] < shorter["rebalanced"]["conv1"]

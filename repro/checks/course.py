"""A course's edition: notebooks for students, all of it for the teacher, and nbgrader's.

Students have checks but no solutions.

DIR/handout/ notebooks, and a package `repro` that holds the checks' cases and results, no code that solves anything
DIR/teacher/ notebooks with solutions, reasons and answers; course.json with the seeds DIR/source/ for nbgrader: an
exercise a folder, with the same small package; graded on cases that nobody has seen
"""

import json
import operator
import re
import secrets
from pathlib import Path

from repro.checks import HANDED_OUT
from repro.checks.cases import pack, write_sheets
from repro.checks.exercises import EXERCISES, sheet
from repro.checks.notebooks import (
    BEGIN,
    END,
    read,
    sources,
    stamped,
    student_version,
    tag,
    text,
    with_text,
    write_all,
)

CODE_POINTS, TEXT_POINTS = 5, 2  # of a function, and of an answer in words
ALONE = '''"""The checks of a course, without solutions."""

import sys
from importlib.machinery import PathFinder


class Alone:
    """Keeps another installation of the library, which solves the exercises, from filling in what is not here."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.startswith("repro.") and PathFinder.find_spec(name, path) is None:
            raise ModuleNotFoundError(f"{name} does not belong to the course", name=name)


sys.meta_path.insert(0, Alone)
'''
HANDED_ON = ("__init__.py", "cases.py", "running.py", "tally.py", "telling.py")  # of this folder, beside the cases


def write_course(folder, answers=False, force=False):
    """Write handout/ and teacher/ below a folder; answers: whether students get them, folded.

    Returns the notebooks' paths.
    """
    seeds = _seeds(folder)
    notebooks = {}
    for path in sources():
        notebooks[folder / "handout" / path.name] = _alone(student_version(read(path), answers))
        notebooks[folder / "teacher" / path.name] = _alone(read(path))
    package = _package(folder / "handout", EXERCISES, seeds["seen"])
    _require_unedited(package, force)
    written = write_all(notebooks, force)
    _write_package(package)
    _write_seeds(folder, seeds)
    return written


def export_nbgrader(folder, force=False):
    """Write folder/source/<exercise>/<exercise>.ipynb, as nbgrader's `generate_assignment` reads them.

    Returns the paths.
    """
    seeds = _seeds(folder)
    made = {folder / "source" / path.stem / path.name: for_nbgrader(read(path), seeds["unseen"]) for path in sources()}
    package = {}
    for path, notebook in made.items():
        source = "\n".join(map(text, notebook["cells"]))
        if names := [name for name in EXERCISES if re.search(rf"^grade\({name}\b", source, re.M)]:
            package |= _package(path.parent, names, seeds["seen"])
    _require_unedited(package, force)
    written = write_all(made, force)
    _write_package(package)
    _write_seeds(folder, seeds)
    return written


def _alone(notebook):
    """A notebook whose links to the pages are plain words: the pages show the library, and stay at home."""
    cells = [with_text(cell, re.sub(r"\[([^\]]+)\]\(\.\./[^)]+\)", r"\1", text(cell))) for cell in notebook["cells"]]
    return stamped(dict(notebook, cells=cells))


# ---- nbgrader ----


def for_nbgrader(notebook, seed):
    """A solution notebook (dict) as nbgrader's source.

    Solutions and answers are to be cleared, functions are graded on unseen cases.
    """
    cells, answer = [], None
    for cell in reversed(notebook["cells"]):  # an answer stands below the cell that it is written in
        kind, source = tag(cell), text(cell)
        checked = re.match(r"check\((\w+)\)", source)
        if kind == "answer":
            answer = source
        elif kind == "reply":
            mark = _mark(f"reply_{cell['id']}", solution=True, grade=True, points=TEXT_POINTS)
            cells.append(with_text(cell, f"{BEGIN}\n{answer}\n{END}", nbgrader=mark))
        elif BEGIN in source:
            cells.append(with_text(cell, source, nbgrader=_mark(re.search(r"def (\w+)", source)[1], solution=True)))
        elif kind != "why":
            cells += [_grading(checked[1], seed)] if checked else []
            cells.append(with_text(cell, source, nbgrader=_mark(f"text_{cell['id']}")))
    return _alone(dict(notebook, cells=cells[::-1]))


def _mark(grade_id, solution=False, grade=False, points=None):
    mark = {"schema_version": 3, "task": False, "grade": grade, "solution": solution, "grade_id": grade_id}
    mark["locked"] = not solution
    return mark | ({"points": points} if grade else {})


def _grading(name, seed):
    """A cell whose number nbgrader takes for the points: the share of cases drawn from another seed.

    The cell holds that seed.
    """
    lines = [
        "# graded with cases that you have not seen",
        "### BEGIN HIDDEN TESTS",
        "from repro.checks import grade",
        "from repro.checks.cases import unpack",
        f'grade({name}, unpack("{pack(sheet(name, seed))}"), points={CODE_POINTS})',
        "### END HIDDEN TESTS",
    ]
    cell = {"cell_type": "code", "id": f"g{name}"[:8], "metadata": {}, "outputs": [], "execution_count": None}
    return with_text(cell, "\n".join(lines), nbgrader=_mark(f"check_{name}", grade=True, points=CODE_POINTS))


# ---- what goes along ----


def _package(folder, names, seed):
    """{path: text} of the package `repro` that a course's notebooks import, with the cases of some exercises."""
    room, here = folder / "repro" / "checks", Path(__file__)
    files = {folder / "repro" / "__init__.py": ALONE}
    files |= {room / name: here.with_name(name).read_text(encoding="utf-8") for name in HANDED_ON}
    return files | {room / HANDED_OUT.name: write_sheets([sheet(name, seed) for name in names])}


def _require_unedited(package, force):
    """Raises FileExistsError where a file of the package is there and is another."""
    for path, content in package.items():
        if path.exists() and not force and path.read_bytes() != content.encode():
            raise FileExistsError(
                f"{path} was edited, or is of another version; name another folder, or add --force to replace it"
            )


def _write_package(package):
    for path, content in package.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())


def _seeds(folder):
    """The course's seeds: an earlier time's, so that grades stay comparable, or new ones that nobody can guess."""
    path = folder / "teacher" / "course.json"
    if path.exists():
        try:
            seeds = json.loads(path.read_text(encoding="utf-8"))
            return {name: operator.index(seeds[name]) for name in ("seen", "unseen")}
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"{path} does not hold the seeds of this course, without which its grades are no longer comparable; "
                "bring its own file back, or delete it to begin a new course"
            ) from None
    return {"seen": secrets.randbelow(2**31), "unseen": secrets.randbelow(2**31)}


def _write_seeds(folder, seeds):
    (folder / "teacher").mkdir(parents=True, exist_ok=True)
    (folder / "teacher" / "course.json").write_text(json.dumps(seeds) + "\n", encoding="utf-8")

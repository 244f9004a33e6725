"""The exercises' notebooks: what students get is derived from the solutions, so that the two cannot drift apart.

notebooks/exercises/solutions/NN_name.ipynb    the source: solutions between two marks
notebooks/exercises/NN_name.ipynb              for students, made by `python -m repro exercises`
"""

import json
import re

from repro import paths
from repro.files import write_atomically

FOLDER = paths.NOTEBOOKS / "exercises"
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"  # as nbgrader has them
STUB = "...  # your code instead of this line"


def sources():
    """The solution notebooks, a list of Path in reading order.  Raises FileNotFoundError if there are none."""
    found = sorted((FOLDER / "solutions").glob("*.ipynb"))
    if not found:
        raise FileNotFoundError(f"no notebooks in {FOLDER / 'solutions'}")
    return found


def student_version(notebook):
    """A notebook (dict) without its solutions and outputs: a stub stands where each was."""
    cells = []
    for cell in notebook["cells"]:
        cell = dict(cell, source=_with_stubs("".join(cell["source"])).splitlines(keepends=True))
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
        cells.append(cell)
    return dict(notebook, cells=cells)


def _with_stubs(source):
    pattern = rf"^([ \t]*){re.escape(BEGIN)}$.*?^[ \t]*{re.escape(END)}$"
    stubbed = re.sub(pattern, rf"\1{STUB}", source, flags=re.M | re.S)
    if BEGIN in stubbed or END in stubbed:
        raise ValueError(f"a {BEGIN} without its {END}, or the reverse, in:\n{source}")
    return stubbed


def for_nbgrader(notebook, points=5):
    """A solution notebook (dict) as nbgrader's source: solutions to be cleared, and each check graded."""
    cells = []
    for cell in notebook["cells"]:
        source, mark = "".join(cell["source"]), {"schema_version": 3, "task": False}
        checked = re.match(r"check\((\w+)\)", source)
        if BEGIN in source:
            mark |= {"grade": False, "solution": True, "locked": False}
            mark["grade_id"] = re.search(r"def (\w+)", source)[1]
        elif checked:
            mark |= {"grade": True, "solution": False, "locked": True, "points": points}
            mark["grade_id"] = f"check_{checked[1]}"
            source += f"\n### BEGIN HIDDEN TESTS\nassert check({checked[1]}), check({checked[1]})\n### END HIDDEN TESTS"
        else:
            mark |= {"grade": False, "solution": False, "locked": True, "grade_id": f"text_{cell['id']}"}
        cells.append(
            dict(cell, source=source.splitlines(keepends=True), metadata=dict(cell["metadata"], nbgrader=mark))
        )
    return dict(notebook, cells=cells)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def write(path, notebook):
    write_atomically(path, (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode())


def write_students(folder=FOLDER):
    """Write the notebooks that students get.  Returns their paths."""
    for source in sources():
        write(folder / source.name, student_version(read(source)))
    return [folder / source.name for source in sources()]


def export_nbgrader(folder):
    """Write folder/source/<exercise>/<exercise>.ipynb, as nbgrader's `generate_assignment` reads them."""
    written = [folder / "source" / path.stem / path.name for path in sources()]
    for source, target in zip(sources(), written, strict=True):
        write(target, for_nbgrader(read(source)))
    return written

"""The exercises' notebooks: what students get is derived from the solutions, so that the two cannot drift apart.

notebooks/exercises/solutions/NN_name.ipynb    the source: solutions between two marks, hints, answers
notebooks/exercises/NN_name.ipynb              to study with, made by `python -m repro exercises`

Cells carry a tag: hint (folded already), why (a solution's reason), question, reply (to answer in), answer.
"""

import hashlib
import json
import re

from repro import paths
from repro.files import write_atomically

FOLDER = paths.NOTEBOOKS / "exercises"
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"  # as nbgrader has them
STUB = "...  # your code instead of this line"
STAMP = "made_by_exercises"  # in a notebook's metadata: a hash of its cells as they were made


def sources():
    """The solution notebooks, a list of Path in reading order.  Raises FileNotFoundError if there are none."""
    found = sorted((FOLDER / "solutions").glob("*.ipynb"))
    if not found:
        raise FileNotFoundError(f"no notebooks in {FOLDER / 'solutions'}")
    return found


def tag(cell):
    """The tag that says what a cell is for, or None."""
    return next(iter(cell["metadata"].get("tags", [])), None)


def text(cell):
    """A cell's source as one string, whether the notebook keeps it as lines or not."""
    return "".join(cell["source"])


def with_text(cell, source, **metadata):
    """A cell with another source and further metadata."""
    return dict(cell, source=source.splitlines(keepends=True), metadata=dict(cell["metadata"], **metadata))


# ---- what students get ----


def student_version(notebook, answers=True):
    """A solution notebook (dict) with stubs in place of the solutions and without outputs.

    answers: whether solutions, reasons and answers come along, folded, or not at all.
    """
    cells, solution = [], ""
    for cell in notebook["cells"]:
        source = text(cell)
        if BEGIN in source and END in source:
            solution = re.sub(rf"^[ \t]*({BEGIN}|{END})\n?", "", source, flags=re.M)
        if tag(cell) in ("why", "answer"):
            if not answers:
                continue
            source = _folded(tag(cell), source, solution)
        cell = with_text(cell, _with_stubs(source))
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
        cells.append(cell)
    return stamped(dict(notebook, cells=cells))


def _folded(kind, source, solution):
    if kind == "why":
        title, source = "The solution, and why", f"```python\n{solution.rstrip()}\n```\n\n{source}"
    else:
        title = "An answer"
    return f"<details><summary>{title}</summary>\n\n{source}\n\n</details>"


def _with_stubs(source):
    pattern = rf"^([ \t]*){re.escape(BEGIN)}$.*?^[ \t]*{re.escape(END)}$"
    stubbed = re.sub(pattern, rf"\1{STUB}", source, flags=re.M | re.S)
    if BEGIN in stubbed or END in stubbed:
        raise ValueError(f"a {BEGIN} without its {END}, or the reverse, in:\n{source}")
    return stubbed


# ---- reading, and writing only over what nobody edited ----


def read(path):
    """The notebook in a file, as a dict.  Raises ValueError if it is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not _is_notebook(found):
        raise ValueError(f"{path} is no notebook, or a broken one")
    return found


def _is_notebook(found):
    if not isinstance(found, dict) or not isinstance(found.get("metadata"), dict):
        return False
    cells = found.get("cells")
    return isinstance(cells, list) and all(
        isinstance(cell, dict)
        and isinstance(cell.get("metadata"), dict)
        and isinstance(cell.get("cell_type"), str)
        and isinstance(cell.get("source"), list | str)
        and all(isinstance(line, str) for line in cell["source"])
        for cell in cells
    )


def stamped(notebook):
    """A notebook that remembers how its cells were made."""
    return dict(notebook, metadata=notebook["metadata"] | {STAMP: _hash(notebook)})


def _hash(notebook):
    cells = [(cell["cell_type"], text(cell), cell["metadata"].get("nbgrader")) for cell in notebook["cells"]]
    return hashlib.sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest()[:16]


def edited(path):
    """Whether a notebook is no longer as it was made; outputs do not count."""
    try:
        notebook = read(path)
    except ValueError:  # whatever it is, nobody made it here
        return True
    return notebook["metadata"].get(STAMP) != _hash(notebook)


def write_all(notebooks, force=False):
    """Write {Path: notebook} and return the paths.

    Raises FileExistsError, before anything is written, if one was edited.
    """
    kept = [path for path in notebooks if path.exists() and not force and edited(path)]
    if kept:
        more = f" and {len(kept) - 1} more" if len(kept) > 1 else ""
        raise FileExistsError(
            f"{kept[0]}{more} was edited since it was made; name another folder, or add --force to lose that"
        )
    for path, notebook in notebooks.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode())
    return list(notebooks)


def write_students(folder=FOLDER, force=False):
    """Write the notebooks to study with.  Returns their paths."""
    return write_all({folder / source.name: student_version(read(source)) for source in sources()}, force)

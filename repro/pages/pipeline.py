"""What the stages of dvc.yaml run: a page with its settings, and the list of what a page uses of this library.

No value ever goes through a shell: a stage names its page, and its settings are those that the stage lists
under `params` in dvc.yaml, read from params.yaml with their types.
"""

import ast
import json
import logging
import re
from functools import cache
from hashlib import sha256

import yaml

from repro import paths
from repro.kinds import SettingsError

ONLY_DRAW = (
    *(
        f"pages.{name}"
        for name in "figures show widgets colours designed photographs learning outcomes tables hints repaint".split()
    ),
    "training.plan",
)  # and so leave the numbers of a page as they are
# for a new figure or setting nothing is trained anew
NOT_FOLLOWED = {"04_training": (*ONLY_DRAW, "settings", "kinds", "yaml12")}


# ---- a page with its settings ----


def stage_settings(page):
    """The settings that the stage of a page lists under `params` in dvc.yaml: "section.name" or "section"."""
    stages = yaml.safe_load((paths.ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for stage in (stage.get("do", stage) for stage in stages.values()):
        if re.search(rf"repro page {page}\b", str(stage["cmd"])):
            return stage.get("params", [])
    raise SettingsError(f"no stage of dvc.yaml runs page {page}")


def page_parameters(page):
    """{name: default} of a page's parameters cell; page: path of a notebook."""
    cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
    source = next("".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", []))
    return {line.targets[0].id: ast.literal_eval(line.value) for line in ast.parse(source).body}


def values_for(page, settings, objective=None):
    """What a page of the pipeline is given: {parameter: value}.

    A setting goes to the parameter of its name, section.name to `name`; a whole section is a dict.
    page: path of the cleaned notebook.  Raises SettingsError where a parameter is unknown, given twice or not
    at all.
    """
    given = [("pipeline", True), *([("objective", objective)] if objective else [])]
    given += [(name.rpartition(".")[2], settings[name]) for name in stage_settings(page.stem)]
    names, known = [name for name, _ in given], page_parameters(page)
    for name in sorted({*names} ^ {*known}):
        fault = "is not set by its stage in dvc.yaml" if name in known else "is not in its parameters cell"
        raise SettingsError(f"page {page.stem}: {name} {fault}")
    if len(names) != len(known):
        raise SettingsError(f"page {page.stem}: its stage in dvc.yaml sets a parameter twice: {', '.join(names)}")
    return dict(given)


def run_page(page, settings, objective=None, prepare_only=False):
    """Execute outputs/clean/<page>.ipynb as outputs/pages/<page>[_objective].ipynb; returns that path.

    prepare_only: write it with its values, but do not run it.  What a training prints is shown as it comes.
    """
    from papermill import execute_notebook  # needs a second or two, and other commands do without

    clean = paths.OUTPUTS / f"clean/{page}.ipynb"
    if not (paths.NOTEBOOKS / f"{page}.ipynb").is_file():
        raise FileNotFoundError(f"there is no page {page}; see {paths.NOTEBOOKS}")
    if not clean.is_file():
        raise FileNotFoundError(f"{clean} is not here; the pipeline makes it: make repro")
    written = paths.destination(f"pages/{page}_{objective}.ipynb" if objective else f"pages/{page}.ipynb", True)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    execute_notebook(
        clean, written, values_for(clean, settings, objective), progress_bar=False, prepare_only=prepare_only,
        log_output=objective is not None, extra_arguments=["--log-level=ERROR"],  # of the kernel: no warning a page
    )  # fmt: skip
    return written


# ---- what a page uses ----


def used_by(page):
    """The files of this library that a page imports, and those that they import in turn: a sorted list of paths.

    Imports inside functions count.  page: path of a notebook.
    """
    cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    left_out = {_file_of(f"repro.{name}") for name in NOT_FOLLOWED.get(page.stem, ())}
    found, waiting = set(), _imports(code)
    while waiting:
        file = waiting.pop()
        if file not in found | left_out:
            found.add(file)
            waiting |= _imported_by(file)
    return sorted(found)


@cache
def _imported_by(file):
    return _imports(file.read_text(encoding="utf-8"))


def _imports(code):
    """Files of this library that some Python imports, the packages on the way to them included."""
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    parts = [name.split(".") for name in names if name.split(".")[0] == "repro"]
    names = {".".join(part[:count]) for part in parts for count in range(1, len(part) + 1)}
    return {file for file in map(_file_of, names) if file}


def _file_of(module):
    """The file of a module of this library; None for a name that is none."""
    place = paths.ROOT.joinpath(*module.split("."))
    files = place.with_suffix(".py"), place / "__init__.py"
    return next((file for file in files if file.is_file()), None)


def write_code(folder):
    """Write folder/<page>.txt for each cleaned page: what it uses, a sha256 and a name a line, as sha256sum does.

    A stage depends on this file, so that an edit reruns the pages that use the edited file, and no others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for page in sorted((paths.OUTPUTS / "clean").glob("*.ipynb")):
        names = [file.relative_to(paths.ROOT).as_posix() for file in used_by(page)]
        lines = [f"{sha256((paths.ROOT / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
        (folder / f"{page.stem}.txt").write_text("".join(lines), encoding="utf-8")

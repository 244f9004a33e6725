"""Where things lie. Every other file asks here, so that pages run from any folder."""

import os
from pathlib import Path

ROOT = Path(os.environ.get("REPRO_ROOT", Path(__file__).resolve().parents[1]))
DATA = ROOT / "data"  # downloaded and prepared photographs, outside git
NOTEBOOKS = ROOT / "notebooks"
RESULTS = ROOT / "results"  # recorded runs, in git
RUNS = ROOT / "runs"  # training state that can be resumed
OUTPUTS = Path(os.environ.get("REPRO_OUTPUTS", ROOT / "outputs"))  # what the pipeline wrote
SCRATCH = Path(os.environ.get("REPRO_SCRATCH", ROOT / "scratch"))  # what pages run by hand wrote
READY = Path(__file__).parent / "pages" / "ready"  # small models that stand in on pages until there are others


def given(folder):
    """A folder or file that params.yaml or a page names.

    What is relative starts in the project's folder, whoever asks from wherever.  Text; a URL stays as it is.
    """
    return folder if not folder or "://" in folder else str(ROOT / Path(folder).expanduser())


def destination(relative, pipeline=False):
    """Where a page writes: outputs/ when the pipeline runs it, scratch/ when a person does.

    Makes the folder.
    """
    path = (OUTPUTS if pipeline else SCRATCH) / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def find(relative, pipeline=False, made_by="an earlier page"):
    """Where a page reads.

    The pipeline's file or, by hand, the newer of it and the one that an earlier page left in scratch/; by hand, where
    there is neither, the one that comes along in `READY`.

    Raises FileNotFoundError that says what to run.
    """
    places = [OUTPUTS] if pipeline else [OUTPUTS, SCRATCH]
    found = [place / relative for place in places if (place / relative).exists()]
    if found:
        return max(found, key=lambda path: path.stat().st_mtime)
    if not pipeline and (READY / relative).exists():
        return READY / relative
    raise FileNotFoundError(
        f"{relative} is neither in {' nor in '.join(place.name + '/' for place in places)}. "
        f"It is made by {made_by}: run that first, or the whole pipeline with `make repro`."
    )

"""A study of real photographs: originals against what trained models make of them, in one call.

The pictures, their number and the server are those of any study (`stimuli.build_study`); only where they come from
differs.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from repro.datasets.bundled import BundledSource
from repro.datasets.folder import SPLITS
from repro.datasets.photographs import center_square
from repro.files import write_atomically
from repro.study.folder import MANIFEST, StudyError, fingerprint_in, load_study
from repro.study.plan import LEAST
from repro.study.stimuli import build_study
from repro.study.store import answers_place

PRACTICE, PAIRS = 10, 40  # of the paper
SIZE = 256  # pixels, the side of the squares that raters see
MADE_FROM = "made_from.txt"  # in the study's folder: a hash of photographs and models
SAME_SCENE = "motorcycle_right"  # as motorcycle_left: a rater must not see a scene twice


def bundled_photographs():
    """{name: uint8 (H, W, 3)}: the photographs that scikit-image and scikit-learn bring along, each scene once."""
    source = BundledSource()
    items = [item for split in SPLITS for item in source.items(split)]
    return {item.name: source.read(item) for item in sorted(items) if item.name != SAME_SCENE}


def study_of_photographs(folder, photos, models, report=print):
    """Write a study of photographs and return its Study; one of the same photographs and models there is kept.

    photos: {name: uint8 (H, W, 3)}, in colour, of any size; of each the central square is shown.  models:
    {name: Colorizer}.  report: is told, in a line, how far it is.  Equal photographs count once.
    Raises StudyError where there are fewer than LEAST.
    """
    squares = {}
    for name, photo in photos.items():
        square = center_square(photo, SIZE)
        squares.setdefault(square.tobytes(), (name, square))
    if len(squares) < LEAST:
        raise StudyError(
            f"a study needs {LEAST} different colour photographs, got {len(squares)}; "
            f"{PRACTICE + PAIRS} are enough for {PRACTICE} practice pairs and {PAIRS} that count, as in the paper"
        )
    names, truth = [name for name, _ in squares.values()], np.stack([square for _, square in squares.values()])
    origin = _origin(names, truth, models)
    found = _earlier(Path(folder), origin)
    if found:
        report(f"{folder}: the study of these photographs is there already, with its answers")
        return found
    _require_no_answers(Path(folder))
    colored = {}
    for name, model in models.items():
        colored[name] = np.stack([model.colorize(photo) for photo in truth])
        report(f"{name}: {len(truth)} photographs coloured")
    study = build_study(folder, truth, colored, names=names, practice=PRACTICE, pairs=PAIRS, size=SIZE, report=report)
    write_atomically(Path(folder) / MADE_FROM, origin.encode())
    return study


def _require_no_answers(folder):
    """Raises StudyError where another study lies there that people have answered, or something else does."""
    if (folder / MANIFEST).exists():
        answers = answers_place(fingerprint_in(folder))
        if answers.exists():
            raise StudyError(
                f"{folder} holds a study of other photographs or models, which people have answered ({answers}); name "
                "another --folder for this one"
            )


def _origin(names, truth, models):
    """A hash of all that decides the pictures."""
    parts = hashlib.sha256(json.dumps([names, list(models)]).encode())
    parts.update(truth.tobytes())
    for model in models.values():
        parts.update(Path(model.origin).read_bytes())
        parts.update(json.dumps([model.decoding, model.temperature, model.short_side]).encode())
    return parts.hexdigest()


def _earlier(folder, origin):
    """The Study in a folder if it was made of the same, else None."""
    try:
        if (folder / MADE_FROM).read_text(encoding="utf-8") == origin:
            return load_study(folder)
    except (OSError, UnicodeDecodeError, StudyError):
        pass
    return None

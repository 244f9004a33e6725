"""python -m repro measure: any models on any photographs that they have not seen."""

import csv
import gzip
import io
import json
import sys
from pathlib import Path

from repro.commands import fail, say


def add(commands):
    """Add the command to the parser of python -m repro."""
    command = commands.add_parser(
        "measure",
        help="measure models on folders of photographs that they have not seen",
        description="Measure models on folders of photographs: both AuC figures, PSNR, colourfulness and, where "
        "folders are classes that a classifier knows, its top-1; against gray and random colours. Writes the "
        "table with its intervals (.json) and every photograph's figures (.csv.gz).",
    )
    command.add_argument("sets", nargs="+", metavar="NAME=FOLDER", help="the photographs, classes as subfolders")
    command.add_argument("--models", metavar="DIR", help="of NAME.safetensors; default: those that come along")
    command.add_argument("--classifier", action="append", default=[], metavar="NAME", help="as in semantic.classifiers")
    command.add_argument("--size", type=int, metavar="PIXELS", help="of the squares; default: the shortest short side")
    command.add_argument("--limit", type=int, metavar="N", help="photographs of each set, at most")
    command.add_argument("--out", required=True, metavar="FILE.json")
    command.set_defaults(run=measure_models)


def measure_models(options):
    """Measure; returns the exit code, 1 with one line that says what is wrong."""
    from repro import paths
    from repro.colorizer import Colorizer
    from repro.colorizer.weights import PRETRAINED, WeightsError, models_in
    from repro.datasets.sources import SourceError
    from repro.evaluation.held_out import differences, measure, summary
    from repro.evaluation.semantic import ClassifierError, open_classifier
    from repro.files import write_atomically
    from repro.pages.records import quote_everywhere, run_description

    folder, out, rows = Path(options.models or PRETRAINED), Path(options.out), []
    try:
        models = {name: Colorizer.load(file) for name, file in models_in(folder).items()}
        if not models:
            raise WeightsError(f"no weights, NAME.safetensors, in {folder}")
        classifiers = [open_classifier(name) for name in options.classifier]
        for given in options.sets:
            name, found, place = given.partition("=")
            if not found:
                raise ValueError(f"expected NAME=FOLDER, got {given!r}")
            held_out = read_set(name, place, options.size, options.limit)
            rows += measure(held_out, models, classifiers, lambda line: print(line, flush=True))
    except (SourceError, ClassifierError, WeightsError, FileNotFoundError, ValueError) as error:
        return fail(error)
    record = {"run": run_description(0), "models": {name: model.card() for name, model in models.items()}}
    held_out = summary(rows)
    number = {name: sum(row["set"] == name and row["method"] == "gray" for row in rows) for name in held_out}
    record |= {"photographs": number, "held_out": held_out, "differences": differences(rows)}
    write_atomically(out, (json.dumps(record, indent=1) + "\n").encode())
    write_atomically(out.with_suffix(".csv.gz"), as_csv(rows))
    if out.resolve().parent == paths.RESULTS.resolve():
        quote_everywhere()
    print(f"written: {out} and {out.with_suffix('.csv.gz').name}")
    return 0


def read_set(name, folder, size=None, limit=None):
    """A `HeldOut` of the colour photographs in a folder: central squares, subfolders as classes.

    size: of the squares, pixels; None: the shortest short side that occurs, so that nothing is enlarged.
    limit: photographs at most, spread evenly over the classes.  Raises SourceError if none can be used.
    """
    import numpy as np

    from repro.datasets.finding import find_photos
    from repro.datasets.folder import SourceError
    from repro.datasets.photographs import center_square
    from repro.datasets.sources import Item
    from repro.evaluation.held_out import HeldOut

    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder; give the folder that holds the photographs")
    classes = sorted({path.parent.name for path in find_photos(folder) if path.parent != folder})
    label_of = {name: index for index, name in enumerate(classes)}
    items = [
        Item(path.relative_to(folder).as_posix(), label_of.get(path.parent.name, -1)) for path in find_photos(folder)
    ]
    photos, kept = colour_photographs(folder, items, limit)
    if len(kept) < 2:
        raise SourceError(f"{len(kept)} colour photographs in {folder}; at least two are needed")
    size = size or min(min(photo.shape[:2]) for photo in photos)
    squares = np.stack([center_square(photo, size) for photo in photos])
    return HeldOut(name, squares, [item.name for item in kept], [item.label for item in kept], classes)


def colour_photographs(folder, items, limit):
    """`(photographs, their items)`: the first `limit` in colour of a folder's `items`.

    Each other one is set aside by name.
    """
    from repro.datasets.folder import spread
    from repro.datasets.photographs import PhotoError, is_colorful, read_photo
    from repro.files import overheard

    photos, kept, gray = [], [], 0
    for item in spread(items):
        try:
            with overheard():
                photo = read_photo(folder / item.name, item.name)
        except PhotoError as error:
            say(f"set aside: {error}", sys.stderr)
            continue
        if is_colorful(photo):
            photos.append(photo)
            kept.append(item)
        else:
            gray += 1
        if limit and len(kept) == limit:
            break
    if gray:
        say(f"set aside: {gray} gray photographs of {folder}", sys.stderr)
    return photos, kept


def as_csv(rows):
    """Rows (dicts) as a gzipped CSV file, figures to five digits, arrays left out; the same bytes for the same rows."""
    import numpy as np

    text = io.StringIO()
    columns = list(dict.fromkeys(column for row in rows for column, value in row.items() if np.ndim(value) == 0))
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})
    return gzip.compress(text.getvalue().encode(errors="backslashreplace"), mtime=0)

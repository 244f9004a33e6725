"""python -m repro measure: any models on any photographs that they have not seen."""

import csv
import gzip
import io
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
        "table with its intervals (.json) and every photograph's figures (.csv.gz).  With --scan-temperature: the "
        "divergence and both AuC figures of each model with logits at every temperature (.json).  With --choices: what "
        "each choice at test time does to them (.json); for photographs that validate, not for those held out.",
    )
    command.add_argument("sets", nargs="+", metavar="NAME=FOLDER", help="the photographs, classes as subfolders")
    command.add_argument(
        "--models",
        action="append",
        metavar="DIR",
        help="of NAME.safetensors, or one such file, or a model's name, as rebalanced, or release for the authors' own "
        "weights; may be given again; default: those that come along",
    )
    command.add_argument(
        "--decode", action="append", default=[], metavar="NAME", help="a model to decode by its mode and its mean, too"
    )
    command.add_argument("--classifier", action="append", default=[], metavar="NAME", help="as in semantic.classifiers")
    command.add_argument("--size", type=int, metavar="PIXELS", help="of the squares; default: the shortest short side")
    command.add_argument("--limit", type=int, metavar="N", help="photographs of each set, at most")
    command.add_argument("--names", metavar="FILE", help="of the photographs that count, a name on each line")
    command.add_argument(
        "--random-from",
        metavar="FOLDER",
        help="training photographs, whose colours the row random takes, as in the paper; default: each set's others",
    )
    instead = command.add_mutually_exclusive_group()
    instead.add_argument("--scan-temperature", action="store_true", help="measure the temperature, not the pictures")
    instead.add_argument("--choices", action="store_true", help="measure each model with one option changed at a time")
    command.add_argument("--out", required=True, metavar="FILE.json")
    command.set_defaults(run=measure_models)


def measure_models(options):
    """Measure; returns the exit code, 1 with one line that says what is wrong."""
    from repro.colorizer.weights import WeightsError
    from repro.datasets.sources import SourceError
    from repro.evaluation.choices import compare_choices
    from repro.evaluation.classifiers import ClassifierError, open_classifier
    from repro.evaluation.held_out import measure
    from repro.evaluation.temperature import scan_temperature

    out, rows, found, photographs, drawn_from = Path(options.out), [], {}, {}, {}
    report = lambda line: print(line, flush=True)
    try:
        models = open_models(options.models)
        names = options.names and read_names(options.names)
        models |= otherwise_decoded(models, options.decode)
        classifiers = [open_classifier(name) for name in options.classifier]
        for held_out in sets_of(options, names):
            photographs[held_out.name] = held_out.names
            warn_of_seen_photographs(held_out, models)
            if options.scan_temperature:
                found[held_out.name] = scan_temperature(held_out.photos, models, report)
            elif options.choices:
                found[held_out.name] = compare_choices(held_out, models, report)
            else:
                training, drawn_from[held_out.name] = random_from(options.random_from, held_out)
                rows += measure(held_out, models, classifiers, report, training=training)
    except (SourceError, ClassifierError, WeightsError, FileNotFoundError, ValueError) as error:
        return fail(error)
    section = {"temperature": found} if options.scan_temperature else {"choices": found}
    write_record(out, models, photographs, rows, {"random_from": drawn_from} if rows else section)
    return 0


def write_record(out, models, photographs, rows, section):
    """Write what was measured: `rows` of `measure`, and a `section` of the record; results/ is quoted anew."""
    from repro import paths
    from repro.evaluation.held_out import RECORDED_AS, differences, summary
    from repro.files import write_atomically
    from repro.pages.claims import update
    from repro.pages.records import as_json, run_description

    record = {"run": run_description(0), "models": {name: model.card() for name, model in models.items()}}
    record["photographs"] = {name: len(names) for name, names in photographs.items()}
    if rows:
        section |= {"intervals": RECORDED_AS, "held_out": summary(rows), "differences": differences(rows)}
    record |= section
    write_atomically(out, as_json(record))
    if rows:
        write_atomically(out.with_suffix(".csv.gz"), as_csv(rows))
    if out.resolve().parent == paths.RESULTS.resolve():
        update()
    print(f"written: {out}" + f" and {out.with_suffix('.csv.gz').name}" * bool(rows))


def open_models(given):
    """{name: Colorizer} of what --models says; None: those that come along.  Raises WeightsError."""
    from repro.colorizer import Colorizer, release
    from repro.colorizer.weights import MODELS, PRETRAINED, WeightsError, models_in

    models = {}
    for place in given or [str(PRETRAINED)]:
        found = {Path(place).stem: place} if place.endswith(".safetensors") else models_in(place)
        found = {place: place} if place in (*MODELS, release.NAME) else found
        if not found:
            raise WeightsError(f"no weights, NAME.safetensors, in {place}")
        if twice := found.keys() & models.keys():
            raise WeightsError(f"two models are called {min(twice)}; measure them apart")
        models |= {name: Colorizer.load(file) for name, file in found.items()}
    return models


def otherwise_decoded(models, names):
    """{"NAME, mode" and "NAME, mean": Colorizer} of the named of {name: Colorizer}; ValueError for another name."""
    from repro.colorizer import Colorizer

    for name in names:
        if name not in models:
            raise ValueError(f"--decode {name}: there is no such model; there are {', '.join(models)}")
    return {
        f"{name}, {decoding}": Colorizer.load(models[name].origin, decoding=decoding)
        for name in names
        for decoding in ("mode", "mean")
    }


def warn_of_seen_photographs(held_out, models):
    """Say how many photographs the authors' weights have seen, by their names in ImageNet."""
    from repro.colorizer import release

    seen = sum(map(release.has_seen, held_out.names))
    if seen and any(model.header.get("trained_on") == release.ORIGIN["trained_on"] for model in models.values()):
        say(
            f"warning: {held_out.name}: the authors' weights have seen {seen} of these {len(held_out.names)} "
            "photographs, so their row says too much; --names FILE leaves such photographs out",
            sys.stderr,
        )


def read_names(file):
    """What the lines of a list name, a set; no empty lines and none that begins with #.  Raises ValueError."""
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}") from None
    names = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
    if not names:
        raise ValueError(f"{file} names no photograph; expected a name on each line")
    return names


def _named(items, names, folder):
    """The items that a list names: by path within the folder, by file name, or by that without its ending."""
    ways = lambda item: {item.name, Path(item.name).name, Path(item.name).stem}
    kept = [item for item in items if names & ways(item)]
    say(f"{folder}: {len(kept)} photographs of the {len(names)} that the list names")
    return kept


def sets_of(options, names=None):
    """Each NAME=FOLDER of the command line as a `HeldOut`, one after the other.  Raises ValueError, SourceError."""
    for given in options.sets:
        name, found, place = given.partition("=")
        if not found:
            raise ValueError(f"expected NAME=FOLDER, got {given!r}")
        yield read_set(name, place, options.size, options.limit, names)


def read_set(name, folder, size=None, limit=None, names=None):
    """A `HeldOut` of the colour photographs in a folder: central squares, subfolders as classes.

    size: of the squares, pixels; None: the shortest short side that occurs, so that nothing is enlarged.
    limit: photographs at most, spread evenly over the classes.  names: of those that count (`read_names`).
    Raises SourceError if none can be used.
    """
    from repro.datasets.folder import SourceError
    from repro.evaluation.held_out import HeldOut

    folder = Path(folder).expanduser()
    items, classes = items_in(folder)
    items = items if names is None else _named(items, names, folder)
    photos, kept = colour_photographs(folder, items, limit)
    if len(kept) < 2:
        raise SourceError(f"{len(kept)} colour photographs in {folder}; at least two are needed")
    squares = squares_of(photos, size or min(min(photo.shape[:2]) for photo in photos))
    return HeldOut(name, squares, [item.name for item in kept], [item.label for item in kept], classes)


def random_from(folder, held_out):
    """(photographs of a training set, what a record says of them); (None, ...) for no folder.

    As many as the set has, spread evenly over the folder's classes, cut to the set's size.  Raises SourceError where
    the folder has no colour photograph.
    """
    from repro.datasets.folder import SourceError

    if folder is None:
        return None, "the others of the set"
    folder = Path(folder).expanduser()
    photos, kept = colour_photographs(folder, items_in(folder)[0], len(held_out.names))
    if not kept:
        raise SourceError(f"0 colour photographs in {folder}; --random-from needs the training photographs")
    return squares_of(photos, held_out.photos.shape[1]), f"{folder.resolve().name} ({len(kept):,})"


def items_in(folder):
    """(the photographs in a folder as a list of Item, the names of its classes).  Raises SourceError for no folder."""
    from repro.datasets.finding import find_photos
    from repro.datasets.folder import Item, SourceError

    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder; give the folder that holds the photographs")
    found = find_photos(folder)
    classes = sorted({path.parent.name for path in found if path.parent != folder})
    label_of = {name: index for index, name in enumerate(classes)}
    items = [Item(path.relative_to(folder).as_posix(), label_of.get(path.parent.name, -1)) for path in found]
    return items, classes


def squares_of(photos, size):
    """The central squares of photographs, uint8 (N, size, size, 3)."""
    import numpy as np

    from repro.datasets.photographs import center_square

    return np.stack([center_square(photo, size) for photo in photos])


def colour_photographs(folder, items, limit):
    """`(photographs, their items)`: the first `limit` in colour of a folder's `items`.

    Each other one is set aside by name.
    """
    from repro.datasets.folder import taking_turns
    from repro.datasets.photographs import PhotoError, is_colorful, read_photo
    from repro.files import overheard

    photos, kept, gray = [], [], 0
    for item in taking_turns(items):
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

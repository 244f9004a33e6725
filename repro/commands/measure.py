"""python -m repro measure: any models on any photographs that they have not seen."""

import csv
import gzip
import io
import sys
from dataclasses import dataclass, field
from pathlib import Path

from repro.commands import fail, say
from repro.commands.measuring import (
    at_least_one,
    colour_photographs,
    items_in,
    read_names,
    record_place,
    sets_of,
    squares_of,
    write_record,
)


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
    """Measure; returns the exit code, 1 where anything went wrong.

    A collection that cannot be used is passed over, and what was measured is kept, whatever ends the rest.
    """
    from repro.colorizer.weights import WeightsError
    from repro.datasets.sources import SourceError
    from repro.evaluation.classifiers import ClassifierError, open_classifier

    section, found = _section(options), Measured()
    try:
        out = record_place(options.out, section)
        _check(options, section)
        sets = sets_of(options, options.names and read_names(options.names), found.failed)
        models = open_models(options.models)
        models |= otherwise_decoded(models, options.decode)
        classifiers = [open_classifier(name) for name in options.classifier]
        if section == "temperature" and all(model.objective == "regression" for model in models.values()):
            raise ValueError("--scan-temperature: regression predicts one colour, so none of these has a temperature")
        try:
            _measure_sets(sets, section, models, classifiers, options.random_from, found)
        finally:
            if found.photographs:
                rows, whole = as_csv(found.rows) if found.rows else None, len(found.photographs) == len(options.sets)
                write_record(out, found.record(section, models), rows, whole)
    except (SourceError, ClassifierError, WeightsError, FileNotFoundError, ValueError) as error:
        return fail(error)
    return int(bool(found.failed))


@dataclass
class Measured:
    """What was found so far: of `measure` rows, else {collection: figures}; photographs: {collection: names}."""

    photographs: dict = field(default_factory=dict)
    pixels: dict = field(default_factory=dict)
    rows: list = field(default_factory=list)
    figures: dict = field(default_factory=dict)
    drawn_from: dict = field(default_factory=dict)
    failed: list = field(default_factory=list)

    def record(self, section, models):
        """What the .json file holds."""
        from repro.evaluation.held_out import RECORDED_AS, differences, summary
        from repro.pages.records import run_description

        record = {"run": run_description(0), "models": {name: model.card() for name, model in models.items()}}
        record["photographs"] = {name: len(names) for name, names in self.photographs.items()}
        record["pixels"] = self.pixels
        if section != "held_out":
            return record | {section: self.figures}
        intervals = {"held_out": summary(self.rows), "differences": differences(self.rows)}
        return record | {"random_from": self.drawn_from, "intervals": RECORDED_AS} | intervals


def _section(options):
    return "temperature" if options.scan_temperature else "choices" if options.choices else "held_out"


def _check(options, section):
    at_least_one(options, "size", "limit")
    unused = {"--decode": options.decode, "--classifier": options.classifier, "--random-from": options.random_from}
    if section != "held_out" and any(unused.values()):
        given = next(name for name, value in unused.items() if value)
        instead = "--choices" if options.choices else "--scan-temperature"
        raise ValueError(f"{given} says how pictures are measured; it has no part in {instead}")
    if options.random_from and not Path(options.random_from).expanduser().is_dir():
        raise ValueError(f"{options.random_from} is not a folder; give the folder that holds the photographs")


def _measure_sets(sets, section, models, classifiers, training_folder, found):
    """Measure one collection after another into `found`."""
    from repro.evaluation.choices import compare_choices
    from repro.evaluation.held_out import measure
    from repro.evaluation.temperature import scan_temperature

    for held_out in sets:
        warn_of_seen_photographs(held_out, models)
        name = held_out.name
        if section == "temperature":
            found.figures[name] = scan_temperature(held_out.photos, models, say)
        elif section == "choices":
            found.figures[name] = compare_choices(held_out, models, say)
        else:
            for classifier in classifiers:
                if held_out.outputs_of(classifier) is None:
                    warning = "does not know these classes, so it is not asked"
                    say(f"warning: {name}: {classifier.name} {warning}", sys.stderr)
            training, drawn_from = random_from(training_folder, held_out)
            found.rows += measure(held_out, models, classifiers, say, training=training)
            found.drawn_from[name] = drawn_from
        found.photographs[name], found.pixels[name] = held_out.names, held_out.photos.shape[1]


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
        if taken := found.keys() & {"truth", "gray", "random"}:
            raise WeightsError(f"a model cannot be called {min(taken)}, as another row is; rename its file")
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

"""Command line: python -m repro {colorize,data,pack,shards,train,measure,record,ship,exercises,study,page,code}."""

import argparse
import sys
import time
from pathlib import Path

from repro import paths
from repro.evaluation.command import add_measure, add_ship
from repro.extras import what_to_install
from repro.settings import OBJECTIVES, SettingsError
from repro.study.command import add_study
from repro.training.command import add_train


def main(arguments=None):
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m repro", description="Colorful Image Colorization, rebuilt."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_add_colorize, _add_data, _add_pack, _add_shards, add_train, add_measure, _add_record, add_ship, _add_exercises, add_study, _add_page, _add_code):
        add(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except ModuleNotFoundError as error:
        if not (advice := what_to_install(error)):
            raise
        return _fail(advice)
    except KeyboardInterrupt:
        print("stopped; what was finished is kept", file=sys.stderr)
        return 130


# ---- colorize ----


def _add_colorize(commands):
    command = commands.add_parser(
        "colorize", help="colour photographs", description="Colour photographs, at their full size."
    )
    command.add_argument(
        "photos", nargs="+", metavar="PHOTO_OR_FOLDER", help="folders are searched for photographs"
    )
    command.add_argument(
        "--out", required=True, metavar="DIR", help="where the coloured ones are written; made if missing"
    )
    command.add_argument(
        "--weights",
        metavar="FILE",
        help="a trained model, as outputs/models/rebalanced.safetensors of your last run; or regression, "
        "regression_finetuned, classification, rebalanced, encoder (default), which come along",
    )
    command.add_argument("--decoding", choices=("annealed", "mean", "mode"), default="annealed")
    command.add_argument(
        "--temperature", type=float, default=0.38, metavar="T", help="of the annealed mean, default .38"
    )
    command.set_defaults(run=colorize)


def colorize(options):
    """Colour every photograph named; one line for each that cannot be read; exit code 1 if there was any."""
    from repro.colorizer import Colorizer
    from repro.datasets.photos import PhotoError, read_photo
    from repro.weights import WeightsError

    if not options.temperature > 0:
        return _fail(
            f"--temperature must be positive, got {options.temperature:g}; for its limit 0 use --decoding mode"
        )
    try:
        pairs = destinations(options.photos, Path(options.out))
        Path(options.out).mkdir(parents=True, exist_ok=True)
        model = Colorizer.load(options.weights, decoding=options.decoding, temperature=options.temperature)
    except (FileNotFoundError, WeightsError) as error:
        return _fail(error)
    except OSError as error:
        return _fail(f"cannot write to {options.out}: {error.strerror}")
    if not pairs:
        return _fail(f"no photographs in {', '.join(options.photos)}")
    print(f"weights: {model.description}")
    failed, began = 0, time.monotonic()
    for number, (source, target) in enumerate(pairs, 1):
        try:
            save_photo(model.colorize(read_photo(source)), target)
        except PhotoError as error:
            failed += 1
            print(f"skipped {error}", file=sys.stderr)
            continue
        except OSError as error:
            return _fail(
                f"cannot write {target}: {error.strerror}; {number - 1 - failed} of {len(pairs)} are done"
            )
        left = (time.monotonic() - began) / number * (len(pairs) - number)
        print(
            f"[{number}/{len(pairs)}] {target}" + (f"  ({left:.0f} s left)" if left >= 5 else ""), flush=True
        )
    print(f"{len(pairs) - failed} coloured, {failed} skipped")
    return 1 if failed else 0


def destinations(photos, out):
    """(source, target) of each photograph: folders keep their inner tree, names keep their ending, nothing is
    overwritten twice.

    JPEG stays JPEG; anything else becomes PNG.  Two that would land on one name get -2, -3 ...
    Raises FileNotFoundError for a path that is not there.
    """
    from repro.datasets.photos import find_photos

    pairs, taken = [], set()
    for given in map(Path, photos):
        for source in find_photos([given]):
            if out.resolve() in source.resolve().parents and given.is_dir():
                continue  # what an earlier run wrote into a folder inside the folder
            inside = source.relative_to(given) if given.is_dir() else Path(source.name)
            target = out / inside.with_suffix(
                source.suffix if source.suffix.lower() in (".jpg", ".jpeg") else ".png"
            )
            stem, count = target.stem, 1
            while target in taken or target.resolve() == source.resolve():
                count += 1
                target = target.with_name(f"{stem}-{count}{target.suffix}")
            taken.add(target)
            pairs.append((source, target))
    return pairs


def save_photo(photo, path):
    """Write (H, W, 3) uint8 whole or not at all: JPEG at quality 95 or PNG, by the path's ending."""
    import io

    from PIL import Image

    from repro.weights import write_atomically

    buffer = io.BytesIO()
    if path.suffix.lower() in (".jpg", ".jpeg"):
        Image.fromarray(photo).save(buffer, "JPEG", quality=95, subsampling=0)
    else:
        Image.fromarray(photo).save(buffer, "PNG")
    write_atomically(path, buffer.getvalue())


# ---- data ----


def _add_data(commands):
    command = commands.add_parser(
        "data",
        help="prepare photographs for training (a stage of the pipeline)",
        description="Prepare photographs as section data of params.yaml says; an option here goes before it.",
    )
    command.add_argument("--source", help="world, bundled, folder, imagenette or shards")
    command.add_argument(
        "--folder", help="of photographs, for --source folder; or folder or URL, for shards"
    )
    command.add_argument("--size", type=int, help="side of the prepared squares, pixels")
    command.add_argument("--train", type=int, help="photographs to train on, at most; 0: all")
    command.add_argument("--val", type=int, help="to validate on, at most; 0: all")
    command.add_argument("--test", type=int, help="to measure on, at most; 0: all")
    command.add_argument("--seed", type=int, help="of the painted world")
    command.add_argument("--params", default="params.yaml", metavar="FILE", help="settings (params.yaml)")
    command.add_argument("--out", metavar="DIR", help="where they are written (outputs/data)")
    command.set_defaults(run=data)


def data(options):
    """Prepare the three splits of a source; what was set aside is printed with its reason."""
    from repro.datasets.sources import SPLITS, SourceError, open_source, prepare
    from repro.settings import KINDS

    given = {f"data.{name}": getattr(options, name) for name in KINDS["data"]}
    out = Path(options.out or paths.OUTPUTS / "data")
    try:
        wanted = _settings(options.params, {name: value for name, value in given.items() if value is not None}).data
        limits = {split: getattr(wanted, split) or None for split in SPLITS}
        source = open_source(wanted.source, **_source_settings(wanted, limits))
        for split in SPLITS:
            report = prepare(source, split, wanted.size, limits[split], out).report
            print(
                f"{split}: {report['kept']} photographs, {report['gray']} gray and {report['broken']} broken ones set aside"
            )
            for rejected in report["rejected"][:20]:
                print(f"  {rejected['name']}: {rejected['reason']}")
    except (FileNotFoundError, SourceError, ValueError) as error:
        return _fail(error)
    return 0


def _source_settings(wanted, limits):
    """What `open_source` needs besides the name.  wanted: the settings' section `data`."""
    if wanted.source in ("folder", "shards"):
        if not wanted.folder:
            raise ValueError(
                f"source {wanted.source} needs data.folder in params.yaml, or --folder: where your photographs are"
            )
        return {"root": wanted.folder}
    if wanted.source == "world":
        if None in limits.values():
            raise ValueError("the painted world has no end: data.train, data.val and data.test must be above 0")
        return {"seed": wanted.seed, **limits}
    return {}


def _settings(file, changes=None):
    """The settings of a file, each checked, and the recipe of every training as a whole."""
    from repro.settings import read
    from repro.training.settings import settings_of

    settings = read(file, changes)
    for objective in settings.models.objectives:
        settings_of(settings, objective)
    return settings


# ---- pack ----


def _add_pack(commands):
    command = commands.add_parser(
        "pack",
        help="pack collections of photographs as small squares, to train on another machine",
        description="Write the photographs of several folders as zip files of small squares, each at most so "
        "large. Unpacked into one folder they are a training set with a validation part that no training sees: "
        "python -m repro data --source folder --folder DIR.",
    )
    command.add_argument("collections", nargs="+", metavar="NAME=FOLDER", help="the photographs, in any subfolders")
    command.add_argument("--out", required=True, metavar="DIR", help="where pack-1.zip ... are written")
    command.add_argument("--size", type=int, default=128, metavar="PIXELS", help="of the squares; default 128")
    command.add_argument("--mib", type=int, default=45, metavar="N", help="of a pack, at most; default 45")
    command.add_argument("--quality", type=int, default=65, help="of the WebP files, 1..100; default 65")
    command.add_argument("--without", nargs="*", default=[], metavar="NAME", help="subfolders to leave out")
    command.set_defaults(run=pack)


def pack(options):
    """Write packs; what was left out is counted by its reason."""
    from repro.datasets.packs import pack as write_packs
    from repro.datasets.sources import SourceError

    collections = dict(given.partition("=")[::2] for given in options.collections)
    if not all(name and folder for name, folder in collections.items()):
        return _fail(f"expected NAME=FOLDER, got {' '.join(options.collections)!r}")
    for name in ("size", "mib", "quality"):
        if getattr(options, name) < 1:
            return _fail(f"--{name} must be at least 1, got {getattr(options, name)}")
    if options.quality > 100:
        return _fail(f"--quality must be at most 100, got {options.quality}")
    try:
        packs, left_out = write_packs(
            collections, options.out, options.size, options.mib, options.quality, options.without
        )
    except SourceError as error:
        return _fail(error)
    except OSError as error:
        return _fail(f"cannot write to {options.out}: {error.strerror}")
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count)
    print("written:", *packs, sep="\n  ")
    print(f"left out: {reasons or 'none'}")
    return 0


# ---- shards ----


def _add_shards(commands):
    command = commands.add_parser(
        "shards",
        help="write a large tree of photographs as WebDataset shards, to stream in training",
        description="Write a tree of photographs (ImageNet's train/<class>/ and val/<class>/, or any other) "
        "as WebDataset tar shards. Stopped at any moment, the same command goes on where it was.",
    )
    command.add_argument("folder", nargs="?", help="of the photographs")
    command.add_argument("--out", metavar="DIR", help="where the shards are written; made if missing")
    command.add_argument("--short-side", type=int, default=256, metavar="PIXELS", help="default 256")
    command.add_argument("--per-shard", type=int, default=1000, metavar="N", help="photographs; default 1000")
    command.add_argument(
        "--held-out",
        type=int,
        default=10000,
        metavar="N",
        help="to validate and to test on, each, drawn from the one folder beside train/; default 10000",
    )
    command.add_argument("--quality", type=int, default=90, help="of the JPEGs, 1..100; default 90")
    command.add_argument("--workers", type=int, metavar="N", help="processes; default: one a core")
    command.add_argument(
        "--no-duplicate-check",
        dest="duplicate_check",
        action="store_false",
        help="do not look for copies between the splits, which reads the end of nearly every file",
    )
    command.add_argument(
        "--verify", metavar="DIR_OR_URL", help="check finished shards against their manifest"
    )
    command.set_defaults(run=shards)


def shards(options):
    """Write shards, or verify them."""
    from repro.datasets.shards import run  # needs a moment, and other commands do without

    return run(options)


# ---- record ----


def _add_record(commands):
    command = commands.add_parser(
        "record", help="keep the last pipeline run's figures in results/, for README to quote"
    )
    command.add_argument("name", help="of the record, as classroom")
    command.set_defaults(run=record)


def record(options):
    """Copy what the last pipeline run measured to results/<name>.json."""
    from repro.records import keep

    try:
        print(f"written: {keep(options.name)}")
    except FileNotFoundError as error:
        return _fail(error)
    return 0


# ---- exercises ----


def _add_exercises(commands):
    command = commands.add_parser(
        "exercises",
        help="write the students' notebooks anew from the solutions, or export them for nbgrader",
    )
    command.add_argument("--nbgrader", metavar="DIR", help="write DIR/source/<exercise>/, for a graded course")
    command.set_defaults(run=exercises)


def exercises(options):
    """Write the notebooks of the exercises."""
    from repro.exercises import export_nbgrader, write_students

    try:
        written = export_nbgrader(Path(options.nbgrader)) if options.nbgrader else write_students()
    except OSError as error:
        return _fail(error)
    print("written:", *written, sep="\n  ")
    return 0


# ---- page, code ----


def _add_page(commands):
    command = commands.add_parser(
        "page", help="execute a page with its settings from params.yaml (the stages of the pipeline)"
    )
    command.add_argument("name", help="of the page, as 06_raw_accuracy")
    command.add_argument("--objective", choices=OBJECTIVES, help="of page 04_training")
    command.add_argument("--params", default="params.yaml", metavar="FILE", help="settings (params.yaml)")
    command.add_argument("--prepare-only", action="store_true", help="write the page with its settings, unexecuted")
    command.set_defaults(run=page)


def page(options):
    """Execute a page; a wrong setting is one line, a failing cell is shown."""
    from papermill.exceptions import PapermillExecutionError

    from repro.pipeline import run_page

    try:
        run_page(options.name, _settings(options.params), options.objective, options.prepare_only)
    except (FileNotFoundError, SettingsError, PapermillExecutionError) as error:
        return _fail(error)
    return 0


def _add_code(commands):
    command = commands.add_parser(
        "code", help="list for every page the files of repro/ that it uses (a stage of the pipeline)"
    )
    command.set_defaults(run=code)


def code(options):
    """Write outputs/code/<page>.txt."""
    from repro.pipeline import write_code

    write_code(paths.OUTPUTS / "code")
    return 0


def _fail(message):
    print(f"error: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

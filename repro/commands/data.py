"""python -m repro data: photographs prepared for training."""

from pathlib import Path

from repro import paths
from repro.commands import fail, read_settings, say


def add(commands):
    """Add the command to the parser of python -m repro."""
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
    from repro.files import overheard
    from repro.settings import KINDS

    given = {f"data.{name}": getattr(options, name) for name in KINDS["data"]}
    out = Path(options.out or paths.OUTPUTS / "data")
    try:
        wanted = read_settings(options.params, {name: value for name, value in given.items() if value is not None}).data
        limits = {split: getattr(wanted, split) or None for split in SPLITS}
        source = open_source(wanted.source, **_source_settings(wanted, limits))
        for split in SPLITS:
            with overheard():
                report = prepare(source, split, wanted.size, limits[split], out).report
            _say_what_was_set_aside(split, report, out)
    except (FileNotFoundError, SourceError, ValueError) as error:
        return fail(error)
    except OSError as error:
        return fail(f"cannot write to {out}: {error.strerror or error}")
    return 0


def _say_what_was_set_aside(split, report, out, gray_ones=20):
    """A line for every broken photograph, and for the first of the gray ones."""
    from repro.datasets.prepared import GRAY

    say(f"{split}: {report['kept']} photographs, {report['gray']} gray and {report['broken']} broken ones set aside")
    for rejected in report["rejected"]:
        is_gray = rejected["reason"] == GRAY
        gray_ones -= is_gray
        if not is_gray or gray_ones >= 0:
            say(f"  {rejected['name']}: {rejected['reason']}")
    if gray_ones < 0:
        say(f"  and {-gray_ones} more gray ones, named in {out / split}.json")


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

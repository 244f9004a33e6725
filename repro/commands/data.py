"""python -m repro data: photographs prepared for training."""

from pathlib import Path

from repro import paths
from repro.commands import fail, read_settings, say

NONE = "no photographs\n"  # a list of none: DVC warns of each empty file


def add(commands):
    """Add the command to the parser of python -m repro."""
    command = commands.add_parser(
        "data",
        help="prepare photographs for training (a stage of the pipeline)",
        description="Prepare photographs as section data of params.yaml says; an option here goes before it.",
    )
    command.add_argument("--source", help="world, bundled, folder, imagenette or shards")
    command.add_argument("--folder", help="of photographs, for --source folder; or folder or URL, for shards")
    command.add_argument("--size", type=int, help="side of the prepared squares, pixels")
    command.add_argument("--train", type=int, help="photographs to train on, at most; 0: all")
    command.add_argument("--val", type=int, help="to validate on, at most; 0: all")
    command.add_argument("--test", type=int, help="to measure on, at most; 0: all")
    command.add_argument("--seed", type=int, help="of the painted world")
    command.add_argument("--params", default="params.yaml", metavar="FILE", help="settings (params.yaml)")
    command.add_argument("--out", metavar="DIR", help="where they are written (outputs/data)")
    command.add_argument(
        "--list", metavar="DIR", help="only note which files stand in the folders that the settings name"
    )
    command.set_defaults(run=data)


def data(options):
    """Prepare the three splits of a source.

    What was set aside is printed with its reason, and what the photographs cannot teach or tell.
    """
    from repro.datasets.advice import advice
    from repro.datasets.sources import SPLITS, SourceError, open_source, prepare
    from repro.files import overheard

    out = Path(options.out or paths.OUTPUTS / "data")
    try:
        settings = read_settings(options.params, _changes(options))
        if options.list:
            return _list(settings, Path(options.list))
        wanted = settings.data
        limits = {split: getattr(wanted, split) or None for split in SPLITS}
        source = open_source(wanted.source, **_source_settings(wanted, limits))
        prepared = {}
        for split in SPLITS:
            with overheard():
                prepared[split] = prepare(source, split, wanted.size, limits[split], out)
            _say_what_was_set_aside(split, prepared[split].report, out)
        for line in [*advice(prepared, settings.train.batch), *_study(len(prepared["test"].names), settings)]:
            say(f"warning: {line}")
    except (FileNotFoundError, SourceError, ValueError) as error:
        return fail(error)
    except OSError as error:
        return fail(f"cannot write to {options.list or out}: {error.strerror or error}")
    return 0


def _changes(options):
    """The settings that options put in another's place; a folder of theirs starts where the command was given."""
    from repro.settings import KINDS

    given = {f"data.{name}": getattr(options, name) for name in KINDS["data"]}
    if options.folder and "://" not in options.folder:
        given["data.folder"] = str(Path(options.folder).expanduser().absolute())
    return {name: value for name, value in given.items() if value is not None}


def _study(photographs, settings):
    """What the study of page 08 will be.

    Raises ValueError where the photographs are too few for one, so that nothing is trained in vain; where so few were
    asked for, that is a warning.
    """
    from repro.study.plan import LEAST, counts_for

    wanted = settings.realism
    if photographs < LEAST:
        line = (
            f"there are {photographs} photographs to test on, and the study of page 08 needs {LEAST}: add photographs, "
            "or sort some into a folder test/"
        )
        if not 0 < settings.data.test < LEAST:
            raise ValueError(line)
        yield line
        return
    counts = counts_for(photographs, wanted.practice, wanted.pairs)
    if counts[:2] != (wanted.practice, wanted.pairs):
        yield (
            f"the study of page 08 shrinks to {counts.practice} practice pairs and {counts.pairs} pairs, as there are "
            f"{photographs} photographs to test on"
        )


def _list(settings, out):
    """Note what stands in the folders of photographs, so that the pipeline sees that some came or went."""
    from repro.datasets.advice import listing
    from repro.files import write_atomically

    data, probes = settings.data, settings.probes
    folders = {
        "data": data.folder if data.source in ("folder", "shards") else "",
        "unseen": probes.unseen_folder if probes.unseen_source != "second" else "",
        "legacy": settings.legacy.folder,
    }
    for name, folder in folders.items():
        known = listing(paths.given(folder)) if folder and "://" not in folder else folder
        write_atomically(out / f"{name}.txt", (known or NONE).encode("utf-8", "surrogateescape"))
    return 0


def _say_what_was_set_aside(split, report, out, gray_ones=20):
    """A line for every broken photograph, and for the first of the gray ones."""
    from repro.datasets.prepared import GRAY

    copies = f", {report['copies']} copies as well" if report["copies"] else ""
    say(
        f"{split}: {report['kept']} photographs, "
        f"{report['gray']} gray and {report['broken']} broken ones set aside{copies}"
    )
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
        return {"root": paths.given(wanted.folder)}
    if wanted.source == "world":
        if None in limits.values():
            raise ValueError("the painted world has no end: data.train, data.val and data.test must be above 0")
        return {"seed": wanted.seed, **limits}
    return {}

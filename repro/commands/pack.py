"""python -m repro pack: photographs as small squares, to carry to another machine."""

from repro.commands import fail
from repro.commands.measuring import at_least_one, named_folders


def add(commands):
    """Add the command to the parser of python -m repro."""
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

    try:
        at_least_one(options, "size", "mib", "quality")
        if options.quality > 100:
            raise ValueError(f"--quality must be at most 100, got {options.quality}")
        collections = named_folders(options.collections)
        packs, left_out = write_packs(
            collections, options.out, options.size, options.mib, options.quality, options.without
        )
    except (SourceError, ValueError) as error:
        return fail(error)
    except OSError as error:
        return fail(f"cannot write to {options.out}: {error.strerror or error}")
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count)
    print("written:", *packs, sep="\n  ")
    print(f"left out: {reasons or 'none'}")
    return 0

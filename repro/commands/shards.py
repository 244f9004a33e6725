"""python -m repro shards: photographs as WebDataset shards."""

import sys

from repro.commands import fail


def add(commands):
    """Add the command to the parser of python -m repro."""
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
        help="to validate and to test on, each, drawn from the one folder beside train/ (of ImageNet's val/ its first "
        "10,000 and later ones); default 10000",
    )
    command.add_argument("--quality", type=int, default=90, help="of the JPEGs, 1..100; default 90")
    command.add_argument("--workers", type=int, metavar="N", help="processes; default: one a core")
    command.add_argument(
        "--no-duplicate-check",
        dest="duplicate_check",
        action="store_false",
        help="do not look for copies between the splits, which reads the end of nearly every file",
    )
    command.add_argument("--verify", metavar="DIR_OR_URL", help="check finished shards against their manifest")
    command.set_defaults(run=shards)


def shards(options):
    """Write shards, or verify them."""
    from repro.datasets.folder import SourceError
    from repro.datasets.shards import write_shards

    try:
        if options.verify:
            return _print_faults(options.verify)
        if not (options.folder and options.out):
            raise SourceError("give the FOLDER of photographs and --out DIR, or --verify DIR_OR_URL")
        write_shards(
            options.folder,
            options.out,
            options.short_side,
            options.per_shard,
            options.held_out,
            options.quality,
            options.workers,
            options.duplicate_check,
        )
    except (SourceError, ValueError) as error:
        return fail(error)
    return 0


def _print_faults(location):
    from repro.datasets.shard import faults

    count = wrong = 0
    for count, (_, fault) in enumerate(faults(location), 1):
        if fault:
            wrong += 1
            print(fault, file=sys.stderr)
        if count % 100 == 0:
            print(f"{count} shards verified, {wrong} faulty", flush=True)
    print(f"{location}: {count} shards, {wrong} faulty")
    if wrong:
        print("delete what is faulty and write it again with the command that wrote it", file=sys.stderr)
    return 1 if wrong else 0

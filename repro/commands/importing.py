"""python -m repro import: the authors' weights, from a file that was fetched by other means."""

import os

from repro.commands import fail


def add(commands):
    """Add the command to the parser of python -m repro."""
    command = commands.add_parser(
        "import",
        help="read the authors' weights, FILE.pth, where they cannot be fetched from here",
        description="Check the authors' PyTorch weights and keep them for --weights release. Only tensors are "
        "unpickled. Where there is a network this is not needed: --weights release fetches them.",
    )
    command.add_argument("file", metavar="FILE.pth", help="as the authors published it")
    command.add_argument(
        "--out",
        metavar="FILE.safetensors",
        help="keep other weights of the same layout, for --weights FILE.safetensors",
    )
    command.set_defaults(run=import_weights)


def import_weights(options):
    """Convert the file; returns the exit code."""
    from repro.colorizer import release
    from repro.colorizer.weights import WeightsError

    if options.out and not options.out.endswith(".safetensors"):
        return fail(f"--out must end in .safetensors, got {options.out}")
    if options.out and os.path.lexists(options.out):
        return fail(f"{options.out} is there already; name another file")
    try:
        written = release.import_file(options.file, options.out)
    except WeightsError as error:
        return fail(error)
    print(f"written: {written}; colour with --weights {options.out or release.NAME}")
    return 0

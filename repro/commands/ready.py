"""python -m repro ready: the small models that stand in on pages run by hand, taken over and measured."""

from repro.commands import fail, say


def add(commands):
    """Add the command to the parser of python -m repro."""
    command = commands.add_parser(
        "ready", help="take over the small models that stand in on the pages, and have the pages measure them"
    )
    command.add_argument(
        "models",
        nargs="?",
        metavar="DIR",
        help="what train --series conf/by_hand.yaml --out DIR wrote; without it, "
        "those that are there are measured again",
    )
    command.set_defaults(run=ready)


def ready(options):
    """Fill repro/pages/ready/; returns the exit code."""
    from repro import paths
    from repro.colorizer.weights import WeightsError
    from repro.pages.ready import measure, take_over

    try:
        if options.models:
            take_over(options.models)
        measure(say)
    except (FileNotFoundError, WeightsError) as error:
        return fail(error)
    say(f"written: {paths.READY}")
    return 0

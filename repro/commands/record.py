"""python -m repro record: a run of the pipeline kept for README to quote."""

import re

from repro import paths
from repro.commands import fail, say
from repro.files import printable


def add(commands):
    """Add the command to the parser of python -m repro."""
    command = commands.add_parser(
        "record", help="keep the last pipeline run's figures in results/, for README to quote"
    )
    command.add_argument("name", help="of the record, as classroom")
    command.set_defaults(run=record)


def record(options):
    """Copy what the last pipeline run measured to results/<name>.json."""
    from repro.commands.measuring import record_place
    from repro.pages.claims import update
    from repro.pages.records import keep

    if not re.fullmatch(r"[a-z0-9_-]+", options.name):
        return fail(f"a record's name is of a-z, 0-9, - and _; got {printable(options.name)!r}")
    try:
        record_place(paths.RESULTS / f"{options.name}.json", "raw_accuracy")
        say(f"written: {keep(options.name)}")
        update()
    except (FileNotFoundError, ValueError) as error:
        return fail(error)
    except OSError as error:
        return fail(f"cannot write to {paths.RESULTS}: {error.strerror or error}")
    return 0

"""python -m repro record: a run of the pipeline kept for README to quote."""

from repro.commands import fail


def add(commands):
    """Add the command to the parser of python -m repro."""
    command = commands.add_parser(
        "record", help="keep the last pipeline run's figures in results/, for README to quote"
    )
    command.add_argument("name", help="of the record, as classroom")
    command.set_defaults(run=record)


def record(options):
    """Copy what the last pipeline run measured to results/<name>.json."""
    from repro.pages.claims import update
    from repro.pages.records import keep

    try:
        print(f"written: {keep(options.name)}")
        update()
    except FileNotFoundError as error:
        return fail(error)
    return 0

"""python -m repro exercises: the students' notebooks."""

from pathlib import Path

from repro.commands import fail


def add(commands):
    """Add the command to the parser of python -m repro."""
    command = commands.add_parser(
        "exercises",
        help="write the students' notebooks anew from the solutions, or export them for nbgrader",
    )
    command.add_argument("--nbgrader", metavar="DIR", help="write DIR/source/<exercise>/, for a graded course")
    command.set_defaults(run=exercises)


def exercises(options):
    """Write the notebooks of the exercises."""
    from repro.checks.notebooks import export_nbgrader, write_students

    try:
        written = export_nbgrader(Path(options.nbgrader)) if options.nbgrader else write_students()
    except OSError as error:
        return fail(error)
    print("written:", *written, sep="\n  ")
    return 0

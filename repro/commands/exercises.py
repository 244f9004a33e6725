"""python -m repro exercises: the students' notebooks, and a course's edition of them."""

from pathlib import Path

from repro.commands import fail


def add(commands):
    """Add the command to the parser of python -m repro."""
    command = commands.add_parser(
        "exercises",
        help="write the students' notebooks anew from the solutions, or an edition for a course",
    )
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "--course",
        metavar="DIR",
        help="write DIR/handout for students, with checks but without solutions, and DIR/teacher with everything",
    )
    where.add_argument("--nbgrader", metavar="DIR", help="write DIR/source/<exercise>/, for a graded course")
    command.add_argument(
        "--answers", action="store_true", help="with --course: students get solutions and answers, folded"
    )
    command.add_argument("--force", action="store_true", help="write over notebooks that somebody edited")
    command.set_defaults(run=exercises)


def exercises(options):
    """Write the notebooks of the exercises."""
    from repro.checks import course
    from repro.checks.notebooks import write_students

    try:
        if options.course:
            written = course.write_course(Path(options.course), options.answers, options.force)
        elif options.nbgrader:
            written = course.export_nbgrader(Path(options.nbgrader), options.force)
        else:
            written = write_students(force=options.force)
    except OSError as error:
        return fail(error)
    print("written:", *written, sep="\n  ")
    return 0

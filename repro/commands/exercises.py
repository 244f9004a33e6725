"""python -m repro exercises: the students' notebooks, a course's edition of them, and what a class found hard."""

import sys
from pathlib import Path

from repro.commands import fail, say


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
    where.add_argument(
        "--tally",
        metavar="DIR",
        help="write nothing: show which mistakes a class has met, from the checks_tally.json that students handed in",
    )
    command.add_argument(
        "--answers", action="store_true", help="with --course: students get solutions and answers, folded"
    )
    command.add_argument("--force", action="store_true", help="write over notebooks that somebody edited")
    command.set_defaults(run=exercises)


def exercises(options):
    """Write the notebooks of the exercises."""
    from repro.checks import course
    from repro.checks.notebooks import write_students

    if options.tally:
        return show_tally(options.tally)
    if options.answers and not options.course:
        return fail("--answers says what the handout of a course holds; give --course DIR, too")
    try:
        if options.course:
            written = course.write_course(Path(options.course), options.answers, options.force)
        elif options.nbgrader:
            written = course.export_nbgrader(Path(options.nbgrader), options.force)
        else:
            written = write_students(force=options.force)
    except FileExistsError as error:
        return fail(error if error.errno is None else f"{error.filename}: a file is in the way of a folder")
    except (OSError, ValueError) as error:
        named = getattr(error, "filename", None)
        return fail(f"{named}: {error.strerror}" if named else error)
    print("written:", *written, sep="\n  ")
    return 0


def show_tally(folder):
    """Print the class's table; returns the exit code."""
    from repro.checks import tally
    from repro.checks.exercises import EXERCISES

    known = {name: exercise.mistakes for name, exercise in EXERCISES.items()}
    rows, files, set_aside = tally.of_class(folder, known)
    for reason in set_aside:
        say(f"set aside: {reason}", sys.stderr)
    if not rows:
        return fail(
            f"no tally that can be read in {folder}: expected files with {Path(tally.FILE).stem} in their name; "
            "students find theirs in the folder of the exercises"
        )
    say(f"{files} files. A student counts once in the first column, however often the check said so.")
    for line in ["", *tally.table(rows).split("\n")]:
        say(line)
    return 0

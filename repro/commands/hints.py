"""python -m repro hints: what true colours at a few places are worth, on photographs that no model has seen."""

from pathlib import Path

from repro.commands import fail, say
from repro.commands.measuring import at_least_one, record_place, sets_of, write_record


def add(commands):
    """Add the command to the parser of python -m repro."""
    command = commands.add_parser(
        "hints",
        help="measure how much hints help, on photographs that the model has not seen",
        description="Reveal the true colours at 0, 1, 2, 5, 10 and 20 random places of photographs, colour them with "
        "these hints, and write AuC and PSNR against the number, with intervals (.json).",
    )
    command.add_argument("sets", nargs="+", metavar="NAME=FOLDER", help="the photographs")
    command.add_argument("--weights", metavar="FILE", help="as in colorize")
    command.add_argument("--size", type=int, metavar="PIXELS", help="of the squares; default: the shortest short side")
    command.add_argument("--limit", type=int, metavar="N", help="photographs of each set, at most")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of the places")
    command.add_argument("--out", required=True, metavar="FILE.json")
    command.set_defaults(run=measure_hints)


def measure_hints(options):
    """Measure; returns the exit code, 1 where anything went wrong.

    A collection that cannot be used is passed over, and what was measured is kept, whatever ends the rest.
    """
    from repro.colorizer import Colorizer
    from repro.colorizer.weights import WeightsError
    from repro.datasets.sources import SourceError
    from repro.evaluation import hinted
    from repro.pages.records import run_description

    rows, number, failed = [], {}, []
    try:
        out = record_place(options.out, "hints")
        at_least_one(options, "size", "limit")
        if options.seed < 0:
            raise ValueError(f"--seed must not be negative, got {options.seed}")
        sets = sets_of(options, failed=failed)
        model = Colorizer.load(options.weights)
        try:
            for held_out in sets:
                try:
                    rows += hinted.measure_hints(held_out, model, seed=options.seed, report=say)
                    number[held_out.name] = len(held_out.names)
                except ValueError as error:
                    failed.append(held_out.name)
                    fail(f"{held_out.name}: {error}")
        finally:
            if number:
                card = {"name": Path(model.origin).stem, "description": model.description} if model.header else {}
                record = {"run": run_description(options.seed), "model": card | model.card(), "photographs": number}
                record |= {"patch_pixels": hinted.PATCH} | hinted.record_of(rows)
                write_record(out, record, whole=len(number) == len(options.sets))
    except (SourceError, WeightsError, FileNotFoundError, ValueError) as error:
        return fail(error)
    return int(bool(failed))

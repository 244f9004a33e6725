"""python -m repro hints: what true colours at a few places are worth, on photographs that no model has seen."""

from pathlib import Path

from repro.commands import fail, say
from repro.commands.measure import sets_of


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
    """Measure; returns the exit code, 1 with one line that says what is wrong."""
    from repro import paths
    from repro.colorizer import Colorizer
    from repro.colorizer.weights import WeightsError
    from repro.datasets.sources import SourceError
    from repro.evaluation import hinted
    from repro.files import write_atomically
    from repro.pages.records import as_json, quote_everywhere, run_description

    out, rows, number = Path(options.out), [], {}
    try:
        model = Colorizer.load(options.weights)
        for held_out in sets_of(options):
            number[held_out.name] = len(held_out.names)
            rows += hinted.measure_hints(held_out, model, seed=options.seed, report=say)
    except (SourceError, WeightsError, FileNotFoundError, ValueError) as error:
        return fail(error)
    card = {"name": Path(model.origin).stem, "description": model.description} if model.header else {}
    record = {"run": run_description(options.seed), "model": card | model.card(), "photographs": number}
    record |= {"patch_pixels": hinted.PATCH} | hinted.record_of(rows)
    write_atomically(out, as_json(record))
    if out.resolve().parent == paths.RESULTS.resolve():
        quote_everywhere()
    print(f"written: {out}")
    return 0

"""python -m repro probe: what the frozen layers of models know of photographs' classes, beside untrained starts."""

from pathlib import Path

from repro.commands import fail, say
from repro.commands.measure import open_models
from repro.commands.measuring import at_least_one, named_folders, read_set, record_place, write_record


def add(commands):
    """Add the command to the parser of python -m repro."""
    command = commands.add_parser(
        "probe",
        help="measure what the frozen layers of models know of photographs' classes",
        description="Train a linear classifier on every frozen layer of models, and of untrained networks of the same "
        "width, on the photographs of FOLDER/train, and test it on those of FOLDER/val; both hold a subfolder for each "
        "class. Writes top-1 by layer and the differences from the untrained starts, with intervals (.json).",
    )
    command.add_argument(
        "sets", nargs="+", metavar="NAME=FOLDER", help="the photographs, as train/CLASS/ and val/CLASS/"
    )
    command.add_argument(
        "--models", action="append", metavar="DIR", help="as in measure; default: the paper's three that come along"
    )
    command.add_argument("--size", type=int, default=112, metavar="PIXELS", help="of the squares; default 112")
    command.add_argument(
        "--photographs", type=int, default=2500, metavar="N", help="to learn from, at most; default 2500"
    )
    command.add_argument("--test", type=int, default=1500, metavar="N", help="to test on, at most; default 1500")
    command.add_argument("--draw", type=int, default=1500, metavar="N", help="that each seed learns from; default 1500")
    command.add_argument("--seeds", type=int, default=3, metavar="N", help="draws of them; default 3")
    command.add_argument("--out", required=True, metavar="FILE.json")
    command.set_defaults(run=probe_models)


def probe_models(options):
    """Probe; returns the exit code, 1 where anything went wrong.  What was probed is kept, whatever ends the rest."""
    from repro.colorizer.weights import WeightsError
    from repro.datasets.sources import SourceError
    from repro.kinds import OBJECTIVES
    from repro.pages.records import run_description

    found, failed = {}, 0
    try:
        out = record_place(options.out, "layers")
        folders = _check(options)
        models = open_models(options.models or list(OBJECTIVES))
        _check_models(models)
        try:
            for name, folder in folders.items():
                try:
                    found[name] = _probed(name, folder, models, options)
                except (SourceError, ValueError) as error:
                    failed = fail(f"{name}: {error}")
        finally:
            if found:
                record = {"run": run_description(0), "models": {name: model.card() for name, model in models.items()}}
                write_record(out, record | {"layers": found}, whole=len(found) == len(folders))
    except (WeightsError, FileNotFoundError, ValueError) as error:
        return fail(error)
    return failed


def _check(options):
    """{name: folder}, or ValueError for an option that cannot be."""
    at_least_one(options, "photographs", "test", "draw", "seeds")
    if options.size < 16 or options.size % 8:
        raise ValueError(f"--size must be a multiple of 8 and at least 16, got {options.size}")
    return named_folders(options.sets)


def _check_models(models):
    """Raises ValueError for models whose layers cannot be compared with each other and with untrained starts."""
    for name, model in models.items():
        if model.network.kind != "paper":
            raise ValueError(f"{name} is of network {model.network.kind}; layers are compared of the paper's network")
    widths = {model.network.width for model in models.values()}
    if len(widths) > 1:
        raise ValueError(f"the models must be of one width, as the untrained starts beside them; got {sorted(widths)}")


def _probed(name, folder, models, options):
    """What one collection says: the section of the record."""
    from repro.evaluation.paired import layer_leads
    from repro.evaluation.representation import LAYERS, by_network, probe_beside_untrained
    from repro.examples import to_example
    from repro.training.networks import SAMPLE

    known, unseen = (
        read_set(name, Path(folder, part), options.size, most)
        for part, most in (("train", options.photographs), ("val", options.test))
    )
    if known.classes != unseen.classes or len(known.classes) < 2:
        raise ValueError(
            f"{folder}: train and val must hold the same classes, two at least, as subfolders; "
            f"they hold {len(known.classes)} and {len(unseen.classes)}"
        )
    say(f"{name}: {len(known.names)} photographs to learn from, {len(unseen.names)} to test on")
    networks = {model: colorizer.network for model, colorizer in models.items()}
    rows = probe_beside_untrained(
        networks,
        to_example(known.photos[:SAMPLE])[0],
        (known.photos, known.labels),
        (unseen.photos, unseen.labels),
        LAYERS,
        range(options.seeds),
        options.draw,
    )
    counts = {"classes": len(known.classes), "photographs": len(known.names), "test_photographs": len(unseen.names)}
    counts |= {"pixels": options.size, "draw": options.draw, "seeds": options.seeds}
    return counts | {"networks": by_network(rows), "differences": layer_leads(rows)}

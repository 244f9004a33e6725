"""python -m repro ship: models kept as those that come along."""

from pathlib import Path
from tempfile import TemporaryDirectory

from repro.commands import fail


def add(commands):
    """Add the command to the parser of python -m repro."""
    command = commands.add_parser(
        "ship", help="keep models, in half precision, as those that come along, and how each colours best"
    )
    command.add_argument("names", nargs="*", metavar="NAME", help="which of them; default: all")
    command.add_argument("--models", metavar="DIR", help="of NAME.safetensors (outputs/models)")
    command.add_argument("--short-side", type=int, metavar="PIXELS", help="of the copy that the network is shown")
    command.add_argument("--temperature", type=float, metavar="T", help="of the annealed mean")
    for choice in ("guided", "mirrored", "as_scan"):
        command.add_argument(f"--{choice.replace('_', '-')}", action="store_true", help="see repro.colorizer.Colorizer")
    command.set_defaults(run=ship)


def ship(options):
    """Write the models into the package; returns the exit code."""
    from repro import paths
    from repro.colorizer.weights import MODELS, PRETRAINED, WeightsError, check_options, halve, models_in
    from repro.files import write_atomically

    folder = Path(options.models or paths.OUTPUTS / "models")
    choices = {name: getattr(options, name) for name in ("short_side", "temperature", "guided", "mirrored", "as_scan")}
    choices = {name: choice for name, choice in choices.items() if choice is not None and choice is not False}
    try:
        choices = check_options(choices)
        names = options.names or list(models_in(folder))
        if not names:
            raise WeightsError(f"no weights, NAME.safetensors, in {folder}")
        if strange := [name for name in names if name not in MODELS]:
            raise WeightsError(f"no model that comes along is called {strange[0]}; there are {', '.join(MODELS)}")
        with TemporaryDirectory() as halved:  # all of them, before the first one is replaced
            for name in names:
                halve(folder / f"{name}.safetensors", Path(halved, f"{name}.safetensors"), colorize=choices)
            for name in names:
                write_atomically(PRETRAINED / f"{name}.safetensors", Path(halved, f"{name}.safetensors").read_bytes())
    except (WeightsError, ValueError) as error:
        return fail(error)
    except OSError as error:
        return fail(f"cannot write to {PRETRAINED}: {error.strerror or error}")
    print(f"written: {', '.join(names)} in {PRETRAINED}; measure them and bring the model card up to date")
    return 0

"""python -m repro study {serve,guess,simulate,export,results}: the forced-choice study from the command line."""

import csv
import io
import math
import re
import shlex
import sys
from pathlib import Path

from repro import paths
from repro.commands import fail
from repro.commands.measuring import at_least_one
from repro.files import printable

DESCRIPTION = "The forced-choice study: which of two pictures was recoloured by a computer?"
OF_PAGE_08, OF_PHOTOGRAPHS = paths.OUTPUTS / "study", paths.OUTPUTS / "study_photographs"
SHOWN = ("regression", "classification", "rebalanced")  # the paper's methods, as models that come along


def add(commands):
    """Add the command `study` to argparse's subcommands."""
    study = commands.add_parser("study", help="the perceptual-realism study", description=DESCRIPTION)
    actions = study.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, run, says in (
        ("serve", serve, "let people take part in a browser"),
        ("guess", guess, "let a class guess colours on its phones, beside the network"),
        ("simulate", simulate, "fill a study with simulated raters"),
        ("export", export, "write the answers as CSV"),
        ("results", results, "print the share fooled of each method"),
    ):
        action = actions.add_parser(name, help=says, description=says.capitalize() + ".")
        if run is not guess:
            action.add_argument("--folder", metavar="DIR", help=f"of the study; default: {OF_PAGE_08}")
        _OPTIONS[name](action)
        action.set_defaults(run=_guarded(run))


def serve(options):
    """Serve the study until it is stopped with ctrl-c; prints a link and its QR code."""
    from repro.study.guards import names_of
    from repro.study.server import Limits
    from repro.study.serving import link, listen, make_server
    from repro.study.store import Store, human_store_path

    _check_limits(options)
    if options.models and options.photographs is None:
        raise ValueError("--models says who recolours the photographs of --photographs; give that too")
    study = _study(options) if options.photographs is None else _of_photographs(options)
    path = Path(options.store or human_store_path(study))
    store = Store(path, study, "human")
    limits = Limits(joins_per_minute=options.joins_per_minute, raters=options.raters)
    listener = listen(options.host, options.port)
    address = options.public_url or link(listener)
    print(f"{len(study.photographs)} photographs, methods {', '.join(study.methods)}; answers: {path}")
    _print_link(address)
    _say_who_can_open(options)
    print(f"the table at any time: python -m repro study results --folder {shlex.quote(str(study.folder))}")
    print("stop with ctrl-c; every acknowledged answer is kept", flush=True)
    make_server(store, limits, names_of(options.host, options.public_url)).run(sockets=[listener])
    store.close()
    return 0


def guess(options):
    """Let a class guess until it is stopped with ctrl-c; prints the phones' link and the leading screen's."""
    from repro.colorizer import Colorizer, trained_models
    from repro.colorizer.weights import WeightsError
    from repro.datasets.sources import prepared_photographs
    from repro.study.guards import names_of
    from repro.study.guessing import Game, make_app, questions_of
    from repro.study.server import Limits
    from repro.study.serving import link, listen, server_of

    _check_limits(options)
    try:
        models = {"": Colorizer.load(options.weights)} if options.weights else trained_models()
    except WeightsError as error:
        raise ValueError(error) from None
    model = next((model for model in models.values() if model.objective != "regression"), None)
    model = model or next(iter(models.values()))  # which is told that it has no distribution
    photos = prepared_photographs("test").photos[:100]
    size = photos.shape[1] // 8 * 8
    game = Game(questions_of(model, photos[:, :size, :size], options.photographs), options.raters)
    limits = Limits(joins_per_minute=options.joins_per_minute, raters=options.raters)
    listener = listen(options.host, options.port)
    address = options.public_url or link(listener)
    print(f"{len(game.questions)} photographs, asked of {model.description}; nothing is written down")
    _print_link(address)
    print(f"the leading screen, for you alone: {address}#{game.key}")
    _say_who_can_open(options)
    app = make_app(game, limits, names_of(options.host, options.public_url))
    server_of(app).run(sockets=[listener])
    return 0


def _check_limits(options):
    """Raises ValueError for limits of a server that cannot be."""
    at_least_one(options, "raters")
    if not 0 < options.joins_per_minute < math.inf:
        raise ValueError(f"--joins-per-minute must be a positive number, got {options.joins_per_minute:g}")
    if options.public_url and not re.match(r"https?://[^/\s]+", options.public_url):
        raise ValueError(f"--public-url must begin with http:// or https://, got {options.public_url!r}")


def simulate(options):
    """Simulated raters, and the rates that the statistics should find."""
    from repro.study.simulate import simulate as let_them_sit
    from repro.study.simulate import true_rates

    study = _study(options)
    at_least_one(options, "raters")
    if options.seed < 0:
        raise ValueError(f"--seed must not be negative, got {options.seed}")
    store = let_them_sit(study, options.raters, options.seed, options.store)
    store.close()
    print(f"{options.raters} simulated raters: {store.path}")
    for method, rate in true_rates(study).items():
        print(f"{method:28} {100 * rate:5.1f} % fooled by construction")
    return 0


def export(options):
    """One row an answer."""
    from repro.files import write_atomically

    rows = _rows(options)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    _require_an_export(Path(options.out), text.getvalue())
    writer.writerows(rows)
    write_atomically(options.out, text.getvalue().encode())
    print(f"{options.out}: {len(rows)} answers of {rows[0]['kind']} raters")
    return 0


def _require_an_export(out, header):
    """Raises ValueError where something else than an earlier export would be replaced."""
    if out.exists():
        with open(out, "rb") as file:
            if file.read(len(header)) != header.encode():
                raise ValueError(f"{out} is there already and is no such table; name another file")


def results(options):
    """The table of shares fooled."""
    from repro.study.statistics import fooled, random_fooled, table

    rows = _rows(options)
    print(table([*fooled(rows), random_fooled(rows)], rows[0]["kind"]))
    return 0


def _study(options):
    from repro.study.folder import load_study

    return load_study(options.folder or OF_PAGE_08)


def _of_photographs(options):
    """The study of the photographs that --photographs names, made where it is not there yet."""
    from repro.colorizer.weights import WeightsError
    from repro.commands.measure import open_models
    from repro.study.folder import StudyError
    from repro.study.photographs import bundled_photographs, study_of_photographs

    try:
        models = open_models(options.models or SHOWN)
    except WeightsError as error:
        raise StudyError(str(error)) from None
    photos = bundled_photographs() if options.photographs is True else _photographs_in(options.photographs)
    say = lambda line: print(line, flush=True)
    return study_of_photographs(options.folder or OF_PHOTOGRAPHS, photos, models, say)


def _photographs_in(folder):
    """{name: uint8 (H, W, 3)}: the first colour photographs of a folder, as many as a rater sees."""
    from repro.commands.measuring import colour_photographs
    from repro.datasets.finding import find_photos
    from repro.datasets.folder import Item
    from repro.study.photographs import PAIRS, PRACTICE

    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder; give the folder that holds the photographs")
    items = [Item(path.relative_to(folder).as_posix()) for path in find_photos(folder)]
    photos, kept = colour_photographs(folder, items, PRACTICE + PAIRS)
    return {printable(item.name): photo for item, photo in zip(kept, photos, strict=True)}


def _rows(options):
    from repro.study.database import StoreError, read_rows
    from repro.study.store import human_store_path, simulated_store_path

    study = _study(options)
    path = options.store or (simulated_store_path if options.simulated else human_store_path)(study)
    rows = read_rows(path, study)
    if not rows:
        raise StoreError(f"no answers yet in {path}; collect some with `python -m repro study serve`")
    return rows


def _print_link(address):
    from repro.study.serving import qr_code

    code, printable = qr_code(address), sys.stdout.encoding or "ascii"
    if code.encode(printable, "ignore").decode(printable) == code:
        print(code)
    print(f"open {address}")


def _say_who_can_open(options):
    if options.host in ("127.0.0.1", "localhost", "::1") and not options.public_url:
        print("only this machine can open it; for phones in the same network: --host 0.0.0.0", flush=True)


def _guarded(run):
    """Turn what a person can mend into one line and exit code 1."""

    def guarded(options):
        from repro.study.database import StoreError
        from repro.study.folder import StudyError
        from repro.study.serving import ServeError

        try:
            return run(options)
        except OSError as error:
            named = f"{error.filename}: " if error.filename else ""
            return fail(f"{named}{error.strerror or error}")
        except (StudyError, StoreError, ServeError, ValueError) as error:
            return fail(error)

    return guarded


def _address_options(action):
    action.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets the whole network take part")
    action.add_argument("--port", type=int, default=8765, help="default 8765; 0: any free one")
    action.add_argument("--public-url", metavar="URL", help="the address to print, when a proxy stands before it")
    action.add_argument("--raters", type=int, default=1000, help="close it to more than so many")
    action.add_argument("--joins-per-minute", type=float, default=120, help="of all together, default 120")


def _serve_options(action):
    action.add_argument(
        "--photographs",
        nargs="?",
        const=True,
        metavar="DIR",
        help="make the study of the photographs in a folder, or, without one, of the few that the packages bring; "
        f"--folder is then {OF_PHOTOGRAPHS} unless it says otherwise",
    )
    action.add_argument(
        "--models",
        action="append",
        metavar="NAME",
        help=f"with --photographs: a model as `measure` takes it; may be given again; default: {', '.join(SHOWN)}",
    )
    _address_options(action)
    _store_option(action)


def _guess_options(action):
    _address_options(action)
    action.add_argument("--photographs", type=int, default=8, metavar="N", help="to guess in, default 8")
    action.add_argument("--weights", metavar="FILE", help="the network beside the class; default: that of the pages")


def _simulate_options(action):
    action.add_argument("--raters", type=int, default=60, help="over all methods, default 60")
    action.add_argument("--seed", type=int, default=0)
    _store_option(action)


def _rows_options(action):
    action.add_argument("--simulated", action="store_true", help="the simulated raters' answers, not people's")
    _store_option(action)


def _export_options(action):
    action.add_argument("--out", required=True, metavar="CSV", help="the file to write")
    _rows_options(action)


def _store_option(action):
    action.add_argument("--store", metavar="FILE", help="of the answers; default: the study's own")


_OPTIONS = {
    "serve": _serve_options,
    "guess": _guess_options,
    "simulate": _simulate_options,
    "export": _export_options,
    "results": _rows_options,
}

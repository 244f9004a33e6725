"""python -m repro colorize: photographs in, coloured photographs out."""

import errno
import math
import os
import re
import sys
import tempfile
import time
import warnings
from collections import Counter, deque
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from repro.commands import fail, say
from repro.workers import open_pool

_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # the next photograph would fare no better


def add(commands):
    """Add the command to the parser of python -m repro."""
    command = commands.add_parser(
        "colorize",
        help="colour photographs",
        description="Colour photographs, at their full size. Nothing that is there is written over. The same "
        "command given again goes on where it was.",
    )
    command.add_argument("photos", nargs="+", metavar="PHOTO_OR_FOLDER", help="folders are searched for photographs")
    command.add_argument(
        "--out", required=True, metavar="DIR", help="where the coloured ones are written; made if missing"
    )
    command.add_argument(
        "--weights",
        metavar="FILE",
        help="a trained model, as outputs/models/rebalanced.safetensors of your last run; or regression, "
        "regression_finetuned, classification, rebalanced, encoder (default), which come along; or release, the "
        "authors' own, which are fetched once (129 MB)",
    )
    command.add_argument("--decoding", choices=("annealed", "mean", "mode"), help="in place of what the weights name")
    command.add_argument(
        "--temperature", type=float, metavar="T", help="of the annealed mean, in place of what the weights name"
    )
    command.add_argument(
        "--hint", action="append", default=[], metavar="X,Y,#RRGGBB",
        help="the pixel X from the left and Y from the top has this colour, which spreads over what belongs together; "
        "in quotes; may be given again; for one photograph",
    )  # fmt: skip
    command.add_argument(
        "--jobs", type=int, default=1, metavar="N",
        help="so many photographs at once, each by a process of its own, of half a gigabyte or more; default: 1",
    )  # fmt: skip
    command.add_argument(
        "--overwrite",
        action="store_true",
        help="write over what lies in DIR under a result's name, but never over a photograph that is coloured",
    )
    command.set_defaults(run=colorize)


def colorize(options):
    """Colour every photograph named; one line for each that cannot be; exit code 1 if there was any."""
    from repro.colorizer import Colorizer
    from repro.colorizer.hints import HintError
    from repro.colorizer.results import Places
    from repro.colorizer.weights import WeightsError

    try:
        hints = checked_options(options)
    except ValueError as error:
        return fail(error)
    out = Path(options.out)
    originals, passed_over = find_originals(options.photos, out)
    if not originals and not passed_over:
        return fail(f"no photographs in {', '.join(options.photos)}")
    if hints and len(originals) != 1:
        return fail(f"--hint is for one photograph, and {len(originals)} are named; give the one that it belongs to")
    choices = {"path": options.weights, "decoding": options.decoding, "temperature": options.temperature}
    try:
        model = Colorizer.load(**choices)
    except (FileNotFoundError, WeightsError) as error:
        return fail(error)
    try:
        require_writable(out)
    except OSError as error:
        return fail(f"cannot write to {out}: {error.strerror or error}; choose another --out")
    said = [say(f"weights: {model.description}")]
    said += [say(f"passed over {path}: {reason}") for path, reason in passed_over]
    places, jobs = Places(out, originals, options.overwrite), min(options.jobs, len(originals))
    work = one_by_one(model, originals, places, hints)
    if jobs > 1:
        work = side_by_side(jobs, choices, originals, places)
    try:
        return report_all(work, len(originals), out) or int(not all(said))
    except HintError as error:
        return fail(error)


def checked_options(options):
    """The hints (x, y, (a, b)) of the options.  Raises ValueError for one that cannot be, or another option."""
    if options.temperature is not None and not 0 < options.temperature < math.inf:
        raise ValueError(
            f"--temperature must be a positive number, got {options.temperature:g}; for its limit 0 use --decoding "
            "mode, and at 1 it is the mean"
        )
    if options.jobs < 1:
        raise ValueError(f"--jobs must be 1 or more, got {options.jobs}")
    return [read_hint(text) for text in options.hint]


def read_hint(text):
    """X,Y,#RRGGBB as a hint (x, y, (a, b)).  Raises ValueError that says what was expected."""
    import numpy as np

    from repro.color import rgb8_to_lab

    found = re.fullmatch(r"\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*#?([0-9a-fA-F]{6})\s*", text, re.ASCII)
    if not found:
        raise ValueError(f"--hint must be X,Y,#RRGGBB, as '120,80,#3355AA' (in quotes), got {text!r}")
    ab = rgb8_to_lab(np.frombuffer(bytes.fromhex(found[3]), np.uint8))[1:]
    return int(found[1]), int(found[2]), tuple(map(float, ab))


def one_by_one(model, originals, places, hints=()):
    """(path, a function that colours it) of each [(path, name within --out)]; as `color_one` returns and raises."""
    for path, inside in originals:
        yield path, partial(color_one, model, path, inside, places, hints)


def side_by_side(jobs, choices, originals, places):
    """As `one_by_one`, and in the same order, by `jobs` processes, each with a model of its own of these choices.

    Names are given out here, one after the other; a few photographs are in hand ahead of the one that is waited for.
    """
    threads = max(1, (os.cpu_count() or 1) // jobs)
    pool, waiting = open_pool(jobs, _load_model, choices, threads=threads), deque()
    try:
        for path, inside in originals:
            waiting.append((path, _begun(pool, path, inside, places)))
            if len(waiting) > 2 * jobs:
                yield waiting.popleft()
        yield from waiting
    finally:
        pool.shutdown(cancel_futures=True)  # those in hand are finished first


def _begun(pool, path, inside, places):
    """A function that waits for a photograph, which a process has in hand unless there is nothing to do."""
    from repro.datasets.photographs import PhotoError

    try:
        target, there, _ = place_one(path, inside, places)
    except (PhotoError, OSError) as error:
        return partial(_raise, error)  # in its turn
    return partial(tuple, there) if there else pool.submit(_color_there, path, target, places.out).result


def _raise(error):
    raise error


def _load_model(choices):
    """In a process of `side_by_side`: load its model."""
    global _model
    from repro.colorizer import Colorizer

    _model = Colorizer.load(**choices)


def _color_there(path, target, out):
    """In a process of `side_by_side`: colour one photograph with its model."""
    return color_to(_model, path, target, out)


def report_all(work, total, out):
    """Do all of the work, `total` photographs, each named in a line; returns the exit code."""
    from repro.colorizer.weights import WeightsError
    from repro.datasets.photographs import PhotoError

    count, heard, began = Counter(), True, time.monotonic()
    for number, (path, finish) in enumerate(work, 1):
        done = count["coloured"] + count["there already"]
        goes_on = f"{done} of {total} are coloured, and the same command goes on from there"
        try:
            outcome, line = finish()
        except PhotoError as error:
            count["skipped"] += 1
            heard &= say(f"skipped {error}", sys.stderr)
            continue
        except WeightsError as error:
            return fail(error)
        except BrokenProcessPool:
            return fail(f"a process was killed, perhaps for want of memory: use fewer --jobs; {goes_on}")
        except OSError as error:
            return fail(f"cannot write {path.name} to {out}: {error.strerror or error}; {goes_on}")
        count[outcome] += 1
        left = (time.monotonic() - began) / number * (total - number)
        heard &= say(f"[{number}/{total}] {line}" + (f"  ({left:.0f} s left)" if left >= 5 else ""))
    before = f"{count['there already']} there already, " if count["there already"] else ""
    heard &= say(f"{count['coloured']} coloured, {before}{count['skipped']} skipped")
    return 1 if count["skipped"] or not heard else 0


# ---- one photograph ----


def color_one(model, path, inside, places, hints=()):
    """Colour one photograph; returns (what became of it, what there is to say of it).

    Raises PhotoError for whatever concerns this one alone, OSError where no other could be written either,
    WeightsError where no other could be coloured and HintError for a hint that cannot be kept to.
    """
    target, there, data = place_one(path, inside, places)
    return there or color_to(model, path, target, places.out, hints, data)


def place_one(path, inside, places):
    """(where a photograph's result goes; if it is there already what `color_one` returns, else None; its bytes)."""
    from repro.colorizer.results import fingerprint
    from repro.datasets.photographs import file_bytes

    with _concerning(path, places.out):
        data = file_bytes(path, path)
        target, stands = places.place(path, inside, fingerprint(data))
    line = f"{target} is there already (--overwrite colours it anew)"
    return target, ("there already", line) if stands else None, data


def color_to(model, path, target, out, hints=(), data=None):
    """Colour a photograph and write it to `target` within `out`; returns and raises as `color_one`.

    data: the file's bytes, where they were read before.
    """
    from repro.colorizer.results import pages_of, save_result
    from repro.datasets.deep import PhotoWarning
    from repro.datasets.photographs import file_bytes, read_photo, silence_pillow
    from repro.files import overheard

    with _concerning(path, out):
        data = file_bytes(path, path) if data is None else data
        silence_pillow()
        with overheard() as complaints, warnings.catch_warnings(record=True) as guesses:
            warnings.simplefilter("always", PhotoWarning)
            photo, pages = read_photo(data, path), pages_of(data)
        save_result(model.colorize(photo, hints=hints) if hints else model.colorize(photo), target, data)
    notes = [f"the first of {pages} pages"] * (pages > 1)
    notes += [str(guess.message).removeprefix(f"{path}: ") for guess in guesses if guess.category is PhotoWarning]
    notes += [f"its file is damaged: {first}" for first in complaints[:1]]
    return "coloured", f"{target}" + f"  ({'; '.join(notes)})" * bool(notes)


@contextmanager
def _concerning(path, out):
    """Whatever goes wrong with this photograph alone is raised as PhotoError; what stops all others, as it is."""
    from repro.colorizer.hints import HintError
    from repro.colorizer.weights import WeightsError
    from repro.datasets.photographs import PhotoError

    try:
        yield
    except (PhotoError, WeightsError, HintError):
        raise
    except OSError as error:
        if error.errno in _DISK_IS_FULL or not os.access(out, os.W_OK):
            raise
        raise PhotoError(path, f"its result cannot be written: {error.strerror or error}") from error
    except Exception as error:  # whatever is odd about one photograph, the others are coloured
        raise PhotoError(path, _reason(error)) from error


def _reason(error):
    from repro.datasets.photographs import TOO_LITTLE_MEMORY

    if isinstance(error, MemoryError) or "allocate" in str(error) or "not enough memory" in str(error):
        return TOO_LITTLE_MEMORY  # torch says it by a RuntimeError
    return f"cannot be coloured ({type(error).__name__}: {error})"


def find_originals(given, out):
    """What is to be coloured, and what is not: [(path, its name within out)], [(path, why it is passed over)].

    Folders keep their inner tree.  A photograph that is named twice, or by a link too, is coloured once.  What
    an earlier run wrote is passed over: all of `out` where it lies inside a folder given, and otherwise the
    results in it.
    """
    from repro.colorizer.results import original_of
    from repro.datasets.finding import find_photos
    from repro.files import identity

    originals, passed_over, seen = [], [], {}
    real_out = Path(os.path.realpath(out))
    for name in given:
        root, is_folder = Path(name), os.path.isdir(name)
        out_is_inside = is_folder and Path(os.path.realpath(root)) in real_out.parents
        for path in find_photos(root) if is_folder else [root]:
            inside = path.relative_to(root) if is_folder else Path(path.name)
            first = seen.setdefault(identity(path), path)
            lies_in_out = Path(os.path.realpath(path.parent)).is_relative_to(real_out)
            if lies_in_out and out_is_inside:
                passed_over.append((path, f"it lies in {out}, among the results"))
            elif lies_in_out and original_of(path):
                passed_over.append((path, "it is a result of an earlier run"))
            elif first is not path:
                if first != path:
                    passed_over.append((path, f"it is the same file as {first}"))
            else:
                originals.append((path, inside))
    return originals, passed_over


def require_writable(folder):
    """Make the folder if it is missing.  Raises OSError if nothing can be written into it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass

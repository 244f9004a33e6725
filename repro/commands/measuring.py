"""What the commands that measure share: collections of photographs from the command line, and the record to write."""

import json
import sys
import tempfile
from pathlib import Path

from repro.commands import say
from repro.files import printable

LARGEST_SET = 2**30  # pixels of a collection's squares together, which are all held in memory


# ---- collections ----


def named_folders(given):
    """{name: folder} of NAME=FOLDER arguments.

    Raises ValueError for another form, a name that tables cannot show, a name given twice, and no folder.
    """
    found = {}
    for one in given:
        name, _, folder = one.partition("=")
        if not name or not folder:
            raise ValueError(f"expected NAME=FOLDER, got {printable(one)!r}")
        if name != printable(name) or set(name) & set("/\\,|") or not name.strip("."):
            raise ValueError(f"a collection's name is plain letters, without / \\ , or |; got {printable(name)!r}")
        if name in found:
            raise ValueError(f"two collections are called {name}; give each a name of its own")
        found[name] = Path(folder).expanduser()
    for folder in found.values():
        if not folder.is_dir():
            raise ValueError(f"{printable(folder)} is not a folder; give the folder that holds the photographs")
    return found


def at_least_one(options, *names):
    """Raises ValueError for an option that counts something and is given as less than 1."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name} must be at least 1, got {value}")


def sets_of(options, names=None, failed=None):
    """Each NAME=FOLDER of the command line as a `HeldOut`, read one after the other as they are asked for.

    failed: a list of the collections that cannot be used, to which names are added as they are passed over; None:
    the first such collection raises SourceError.  Raises ValueError, at once, as `named_folders`.
    """
    return _read_each(named_folders(options.sets), options, names, failed)


def _read_each(folders, options, names, failed):
    from repro.datasets.folder import SourceError

    for name, folder in folders.items():
        try:
            held_out = read_set(name, folder, options.size, options.limit, names)
        except SourceError as error:
            if failed is None:
                raise
            say(f"error: {error}", sys.stderr)
            failed.append(name)
        else:
            yield held_out


def read_set(name, folder, size=None, limit=None, names=None):
    """A `HeldOut` of the colour photographs in a folder: central squares, subfolders as classes.

    size: of the squares, pixels; None: the shortest short side that occurs, so that nothing is enlarged.
    limit: photographs at most, spread evenly over the classes.  names: of those that count (`read_names`).
    Raises SourceError if fewer than two can be used, or more than memory holds.
    """
    from repro.datasets.folder import SourceError
    from repro.evaluation.held_out import HeldOut

    folder = Path(folder)
    items, classes = items_in(folder)
    items = items if names is None else _named(items, names, folder)
    photos, kept = colour_photographs(folder, items, limit, size)
    if len(kept) < 2:
        asked = f", {limit} asked for" if limit and limit < 2 else ", and the list names no other" * (names is not None)
        raise SourceError(f"{_count(len(kept), 'colour photograph')} in {folder}{asked}; at least two are needed")
    squares = squares_of(photos, size or min(min(photo.shape[:2]) for photo in photos))
    say(f"{name}: {len(kept):,} photographs at {squares.shape[1]} x {squares.shape[1]} pixels")
    return HeldOut(name, squares, [item.name for item in kept], [item.label for item in kept], classes)


def _count(number, what):
    return f"{number:,} {what}{'s' * (number != 1)}"


def read_names(file):
    """What the lines of a list name, a set; no empty lines and none that begins with #.  Raises ValueError."""
    try:
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}") from None
    stripped = (line.strip() for line in lines)
    if not (names := {line for line in stripped if line and not line.startswith("#")}):
        raise ValueError(f"{file} names no photograph; expected a name on each line")
    return names


def _named(items, names, folder):
    """The items that a list names: by path within the folder, by file name, or by that without its ending."""
    ways = lambda item: {item.name, Path(item.name).name, Path(item.name).stem}
    kept = [item for item in items if names & ways(item)]
    say(f"{folder}: {_count(len(kept), 'photograph')} of the {len(names)} that the list names")
    return kept


def items_in(folder):
    """(the photographs in a folder as a list of Item, the names of its classes).  Raises SourceError for no folder."""
    from repro.datasets.finding import find_photos
    from repro.datasets.folder import Item, SourceError

    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder; give the folder that holds the photographs")
    found = find_photos(folder)
    classes = sorted({path.parent.name for path in found if path.parent != folder})
    label_of = {name: index for index, name in enumerate(classes)}
    items = [Item(path.relative_to(folder).as_posix(), label_of.get(path.parent.name, -1)) for path in found]
    return items, classes


def squares_of(photos, size):
    """The central squares of photographs, uint8 (N, size, size, 3)."""
    import numpy as np

    from repro.datasets.photographs import center_square

    return np.stack([center_square(photo, size) for photo in photos])


def colour_photographs(folder, items, limit, size=None):
    """`(photographs, their items)`: the first `limit` in colour of a folder's `items`.

    Each other one is set aside by name.  size: of central squares; None: whole photographs.  Raises SourceError for
    more than memory holds.
    """
    from repro.datasets.folder import SourceError, taking_turns
    from repro.datasets.photographs import PhotoError, center_square, is_colorful, read_photo
    from repro.files import overheard

    photos, kept, gray, held = [], [], 0, 0
    for item in taking_turns(items):
        try:
            with overheard():
                photo = read_photo(folder / item.name, item.name)
        except PhotoError as error:
            say(f"set aside: {error}", sys.stderr)
            continue
        if is_colorful(photo):
            held += size**2 if size else photo.shape[0] * photo.shape[1]
            if held > LARGEST_SET:
                raise SourceError(
                    f"the photographs of {folder} have more than {LARGEST_SET:,} pixels together, which are held in "
                    "memory; give a smaller --size or --limit"
                )
            photos.append(center_square(photo, size) if size else photo)
            kept.append(item)
        else:
            gray += 1
        if limit and len(kept) == limit:
            break
    if gray:
        say(f"set aside: {_count(gray, 'gray photograph')} of {folder}", sys.stderr)
    return photos, kept


# ---- the record ----


def record_place(out, section):
    """The path of a record that is to be written, checked before anything is measured.

    section: what a record of this command holds.  Raises ValueError where the file must not or cannot be written: its
    name does not end in .json, something else is there already, or its folder takes no file.
    """
    out = Path(out).expanduser()
    if out.suffix != ".json":
        raise ValueError(f"--out must name a file that ends in .json, got {printable(out)}")
    rows = rows_of(out)
    for place in (out, partial_of(out)):
        if place.exists() and not _holds(place, section):
            raise ValueError(f"{printable(place)} is there already and is no such record, or broken; name another file")
    if rows.exists() and not out.exists():
        raise ValueError(f"{printable(rows)} is there already, without a record beside it; name another file")
    there = next(folder for folder in out.absolute().parents if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ValueError(f"{printable(out)} cannot be written: {error.strerror or error}") from None
    return out


def rows_of(out):
    """The file of every photograph's figures beside a record."""
    return out.with_suffix(".csv.gz")


def partial_of(out):
    """Where the record of a run that lacks some of its collections is written if an earlier one is there."""
    return out.with_suffix(".partial.json")


def _holds(file, section):
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and "run" in found and section in found


def write_record(out, record, rows=None, whole=True):
    """Write a record and, where there are, the bytes of its rows; results/ is quoted anew.  Raises ValueError.

    whole: whether it has all collections; a part replaces no earlier record, and nothing quotes it.
    """
    from repro import paths
    from repro.files import write_atomically
    from repro.pages.claims import update
    from repro.pages.records import as_json

    out = partial_of(out) if not whole and out.exists() else out
    try:
        if rows:
            write_atomically(rows_of(out), rows)
        write_atomically(out, as_json(record))
        if whole and out.resolve().parent == paths.RESULTS.resolve():
            update()
    except OSError as error:
        raise ValueError(f"{printable(out)} cannot be written: {error.strerror or error}") from None
    say(f"written: {out}" + f" and {rows_of(out).name}" * bool(rows))

"""What the commands that measure share: collections of photographs from the command line, and the record to write."""

import json
import os
import sys
import uuid
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
        if name != printable(name) or set(name) & set("/\\,|"):
            raise ValueError(f"a collection's name is plain letters, without / \\ , and |; got {printable(name)!r}")
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
    """Each NAME=FOLDER of the command line as a `HeldOut`, one after the other.

    failed: a list of the collections that cannot be used, to which names are added as they are passed over; None:
    the first such collection raises SourceError.  Raises ValueError as `named_folders`.
    """
    from repro.datasets.folder import SourceError

    for name, folder in named_folders(options.sets).items():
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
    photos, kept = colour_photographs(folder, items, limit)
    if len(kept) < 2:
        asked = f" (of {limit} asked for)" if limit and limit < 2 else ""
        raise SourceError(f"{_count(len(kept), 'colour photograph')} in {folder}{asked}; at least two are needed")
    size = size or min(min(photo.shape[:2]) for photo in photos)
    if len(kept) * size**2 > LARGEST_SET:
        raise SourceError(
            f"{name}: {len(kept):,} squares of {size:,} pixels a side are more than {LARGEST_SET:,} pixels, which are "
            "held in memory; give a smaller --size or --limit"
        )
    say(f"{name}: {len(kept):,} photographs at {size} x {size} pixels")
    return HeldOut(name, squares_of(photos, size), [item.name for item in kept], [item.label for item in kept], classes)


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


def colour_photographs(folder, items, limit):
    """`(photographs, their items)`: the first `limit` in colour of a folder's `items`.

    Each other one is set aside by name.
    """
    from repro.datasets.folder import taking_turns
    from repro.datasets.photographs import PhotoError, is_colorful, read_photo
    from repro.files import overheard

    photos, kept, gray = [], [], 0
    for item in taking_turns(items):
        try:
            with overheard():
                photo = read_photo(folder / item.name, item.name)
        except PhotoError as error:
            say(f"set aside: {error}", sys.stderr)
            continue
        if is_colorful(photo):
            photos.append(photo)
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
    if out.exists() and not _holds(out, section):
        raise ValueError(f"{printable(out)} is there already and is no such record; name another file")
    if rows.exists() and not out.exists():
        raise ValueError(
            f"{printable(rows)} is there already, without the record that it belongs to; name another file"
        )
    tried = out.parent / f".{uuid.uuid4().hex}.part"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        tried.touch()
        os.remove(tried)
    except OSError as error:
        raise ValueError(f"{printable(out)} cannot be written: {error.strerror or error}") from None
    return out


def rows_of(out):
    """The file of every photograph's figures beside a record."""
    return out.with_suffix(".csv.gz")


def _holds(file, section):
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and "run" in found and section in found


def write_record(out, record, rows=None):
    """Write a record and, where there are, the bytes of its rows; results/ is quoted anew.  Raises ValueError."""
    from repro import paths
    from repro.files import write_atomically
    from repro.pages.claims import update
    from repro.pages.records import as_json

    try:
        if rows:
            write_atomically(rows_of(out), rows)
        write_atomically(out, as_json(record))
        if out.resolve().parent == paths.RESULTS.resolve():
            update()
    except OSError as error:
        raise ValueError(f"{printable(out)} cannot be written: {error.strerror or error}") from None
    say(f"written: {out}" + f" and {rows_of(out).name}" * bool(rows))

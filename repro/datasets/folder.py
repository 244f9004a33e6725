"""The interface of every source, and the source for a folder of your own photographs."""

import hashlib
import re
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby, zip_longest
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from repro.datasets.finding import find_photos
from repro.datasets.photographs import read_photo

SPLITS = ("train", "val", "test")
_VAL_OF_TRAIN = 0.05  # carved out of train/ where a folder brings no third split
_TRAIN, _TRAIN_AND_VAL = 0.8, 0.9  # of a folder that brings no splits: 80 % train, 10 % val, 10 % test
_FEWEST = 4  # photographs of val and of test by that rule: with fewer, page 08's study has nothing to ask
_SMALL = 20  # photographs: a smaller folder cannot spare so many
_VALIDATING = 10_000  # of ImageNet's validation photographs, ILSVRC2012_val_00000001 and so on, the first: the paper's


class SourceError(Exception):
    """A source that cannot give what was asked for; says what to do."""


@dataclass(frozen=True, order=True)
class Item:
    """One photograph of a source. name: unique within the source; label: index into its classes, -1 if none."""

    name: str
    label: int = -1


class Source:
    """What every source has.

    A source that paints instead of reading offers bulk(split, size, limit) besides.
    """

    name = "source"
    classes: tuple[str, ...] = ()  # empty when the photographs bear no labels
    settings = {}  # what to open the source with once more, as far as it is not the default

    def items(self, split):
        """The split's photographs, a list of Item sorted by name.  Raises ValueError for an unknown split."""
        raise NotImplementedError

    def read(self, item: Item) -> UInt8[np.ndarray, "h w 3"]:
        """One photograph, sRGB.  Raises PhotoError where it is broken."""
        raise NotImplementedError


def check_split(split):
    """Raises ValueError where the name is none of train, val and test."""
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")


def unit_hash(text):
    """A fixed number in 0..1 for a text: the same on every machine, however it spells accented letters."""
    digest = hashlib.sha256(unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def taking_turns(items):
    """Items in a fixed random order in which the classes take turns."""
    shuffled = sorted(items, key=lambda item: (item.label, unit_hash(f"order of {item.name}")))
    by_class = [list(group) for _, group in groupby(shuffled, key=lambda item: item.label)]
    return [item for turn in zip_longest(*by_class) for item in turn if item is not None]


# ---- any folder ----


def _limits(places):
    """Below which hash a photograph is of train, and below which of val: by 80 / 10 / 10, or lower if that leaves few.

    places: the different hashes, in order.
    """
    limits, end = [], len(places)
    for limit in (_TRAIN_AND_VAL, _TRAIN):
        first = bisect_left(places, limit)
        if end - first < _FEWEST and len(places) >= _SMALL:
            first = end - _FEWEST
            limit = places[first]
        limits.append(limit)
        end = min(first, end)
    return limits[1], limits[0]


class FolderSource(Source):
    """Any tree of photographs; the first subfolder under a split's root is a photograph's class.

    root/train, root/val, root/test    taken as they are
    root/train and one of the others   that one is test, and 5 % of train/ become val
    anything else                      80 / 10 / 10, by a hash of each photograph's name under root; of 20
                                       photographs and more, val and test get four each at least

    held_out=N changes the second row, to the paper's use of ImageNet: all of train/ is train, and val and test
    are drawn from the other folder, N photographs each or half of it, with the classes as even as they can be.
    Of ImageNet's validation photographs, known by their names, the first 10,000 are val and later ones test, N each.
    Files of the same bytes never stand in two splits: by hash they go together, and with given folders the
    copies are dropped from train (or val), so that test keeps its photograph.  .duplicates: how many were
    dropped. find_duplicates=False skips that comparison, which reads a little of every file whose size is not
    unique.
    Raises SourceError: no such folder, or no photographs in it; from `items`: a split without photographs.
    """

    name = "folder"

    def __init__(self, root, find_duplicates=True, held_out=None):
        self.root = Path(root).expanduser()
        self.settings = {"root": str(self.root)}
        self.settings |= {} if find_duplicates else {"find_duplicates": False}
        self.settings |= {"held_out": held_out} if held_out else {}
        if not self.root.is_dir():
            raise SourceError(f"{self.root} is not a folder; give the folder that holds your photographs")
        given = self._given_folders()
        names = [path.relative_to(self.root).as_posix() for path in find_photos(given.values() or [self.root])]
        if not names:
            where = " and ".join(f"{folder.name}/" for folder in given.values())
            raise SourceError(f"no photographs in {where + ' of ' if where else ''}{self.root} or its subfolders")
        self._original = originals(self.root, names) if find_duplicates else {name: name for name in names}
        self.duplicates = 0
        self._depth = 1 if given else 0  # of the class folder, under root
        self._names = self._split_as_given(given, names, held_out) if given else self._split_by_hash(names)
        self._explanation = (
            f"its folders are {', '.join(path.name + '/' for path in given.values())}"
            if given
            else f"{len(names)} photographs are split 80/10/10 by a hash of their names"
        )
        self._class_folders = tuple(sorted({self._class_of(name) for name in names} - {None}))
        self.classes = self._class_folders

    def items(self, split):
        """The photographs of a split, by name; SourceError says what to do where there is none."""
        check_split(split)
        if not self._names[split]:
            raise SourceError(
                f"the {split} split of {self.root} is empty: {self._explanation}. "
                f"Add photographs, or sort them into {self.root / 'train'}, val and test yourself."
            )
        labels = {name: index for index, name in enumerate(self._class_folders)} | {None: -1}
        return [Item(name, labels[self._class_of(name)]) for name in sorted(self._names[split])]

    def read(self, item: Item) -> UInt8[np.ndarray, "h w 3"]:
        """A photograph by its item."""
        return read_photo(self.root / item.name, item.name)

    def _given_folders(self):
        """{split: its folder} for the two layouts that bring their own splits, or {}."""
        found = {split: self.root / split for split in SPLITS if (self.root / split).is_dir()}
        if "train" not in found or len(found) == 1:
            return {}
        return found if len(found) == 3 else {"train": found["train"], "test": found.get("test") or found["val"]}

    def _split_as_given(self, given, names, held_out):
        by_split = {split: [] for split in SPLITS}
        split_of = {folder.name: split for split, folder in given.items()}
        for name in names:
            by_split[split_of[name.split("/")[0]]].append(name)
        draw = held_out and "val" not in given
        if draw:
            by_split["val"], by_split["test"] = self._drawn(by_split["test"], held_out)
        self._drop_copies(by_split)
        if "val" not in given and not draw:
            chosen = {name for name in by_split["train"] if unit_hash(self._original[name]) < _VAL_OF_TRAIN}
            by_split["val"] = sorted(chosen)
            by_split["train"] = [name for name in by_split["train"] if name not in chosen]
        return by_split

    def _drawn(self, names, count):
        """Two lists without a photograph in common, `count` long or half of what there is."""
        unlike = {self._original[name]: name for name in sorted(names, reverse=True)}.values()
        self.duplicates += len(names) - len(unlike)
        ordered = sorted((self._class_of(name) or "", unit_hash(f"held out {name}"), name) for name in unlike)
        halves = _as_the_paper(ordered) or (ordered[::2], ordered[1::2])
        return [sorted(_in_turns(half)[:count]) for half in halves]

    def _drop_copies(self, by_split):
        """Of photographs in several splits, test keeps its own, then val."""
        taken = set()
        for split in ("test", "val", "train"):
            kept = [name for name in by_split[split] if self._original[name] not in taken]
            self.duplicates += len(by_split[split]) - len(kept)
            taken |= {self._original[name] for name in kept}
            by_split[split] = kept

    def _split_by_hash(self, names):
        place_of = {name: unit_hash(self._original[name]) for name in names}
        train, train_and_val = _limits(sorted(set(place_of.values())))
        by_split = {split: [] for split in SPLITS}
        for name, place in place_of.items():
            by_split["train" if place < train else "val" if place < train_and_val else "test"].append(name)
        return by_split

    def _class_of(self, name):
        parts = name.split("/")
        return parts[self._depth] if len(parts) > self._depth + 1 else None


def _as_the_paper(ordered):
    """Of (..., name) those to validate and those to test on; None unless all are ImageNet's and there are both."""
    numbers = [re.match(r"ILSVRC2012_val_(\d{8})", name.rpartition("/")[2]) for *_, name in ordered]
    if not all(numbers):
        return None
    halves = [], []
    for one, number in zip(ordered, numbers, strict=True):
        halves[int(number[1]) > _VALIDATING].append(one)
    return halves if all(halves) else None


def _in_turns(ordered):
    """The names of sorted (class, ..., name), in an order in which the classes take turns."""
    by_class = [[name for *_, name in group] for _, group in groupby(ordered, key=lambda entry: entry[0])]
    return [name for turn in zip_longest(*by_class) for name in turn if name is not None]


def originals(root, names):
    """{name: the first name among the files of the same bytes}; costly reading only where cheap signs agree."""
    groups = [sorted(names)]
    for sign in (_size_of, _end_of, _sha256_of):
        groups = [part for group in groups for part in _divide(group, lambda name, sign=sign: sign(root / name))]
    original = {name: name for name in names}
    original.update((name, group[0]) for group in groups for name in group)
    return original


def _divide(group, key):
    """The parts of a group that share a key, where there are at least two such members."""
    parts = defaultdict(list)
    for name in group:
        try:
            parts[key(name)].append(name)
        except OSError:  # gone, locked or a pipe: reading it will say so
            continue
    return [part for part in parts.values() if len(part) > 1]


def _size_of(path):
    if not path.is_file():
        raise OSError(f"{path} is no file")  # a pipe would be waited for
    return path.stat().st_size


def _end_of(path, length=4096):
    """Digest of a file's last bytes: picture data, where two photographs of one camera and size already differ."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - length))
        return hashlib.sha256(file.read()).digest()


def _sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()

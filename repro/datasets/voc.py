"""PASCAL VOC classification: a devkit as it is unpacked, several labels a photograph."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int8, UInt8

from repro.datasets.folder import Item, Source, SourceError, check_split
from repro.datasets.photographs import read_photo

VOC_CLASSES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person pottedplant "
    "sheep sofa train tvmonitor"
).split()
_SETS = {
    "train": "trainval",
    "val": "val",
    "test": "test",
}  # the protocol trains on trainval; val is a part of it
_is_name = re.compile(r"[\w-]+").fullmatch  # never a way to another folder


class VocSource(Source):
    """VOCdevkit/VOC<year>, or the folder above it.

    root/JPEGImages/<name>.jpg and root/ImageSets/Main/<class>_<set>.txt with lines "<name> 1", "0" or "-1":
    there, difficult to say, not there.  The split "train" is trainval, as the protocol of 2007 has it.
    Items bear no single label; `targets` has them all.
    Raises SourceError where the folder is no devkit, or a list is broken.
    """

    name = "voc"

    def __init__(self, root, year=2007):
        root = Path(root).expanduser()
        places = [root, root / f"VOC{year}", root / "VOCdevkit" / f"VOC{year}"]
        found = [place for place in places if (place / "ImageSets" / "Main").is_dir()]
        if not found:
            raise SourceError(
                f"{root} is no PASCAL VOC devkit: there is no ImageSets/Main in it, in VOC{year} or in "
                f"VOCdevkit/VOC{year}. Unpack VOCtrainval and VOCtest of {year} and give their folder."
            )
        self.root, self.settings = found[0], {"root": str(root), "year": year}
        self.classes = tuple(VOC_CLASSES)
        self._labels = {}

    def items(self, split):
        """The photographs of a split, by name."""
        return [Item(name) for name in sorted(self._labels_of(split))]

    def read(self, item: Item) -> UInt8[np.ndarray, "h w 3"]:
        """A photograph by its item."""
        return read_photo(self.root / "JPEGImages" / f"{item.name}.jpg", item.name)

    def targets(self, split: str, names: Sequence[str]) -> Int8[np.ndarray, "n 20"]:
        """What photographs show, by name, for each class -1, 0 or 1: not there, difficult, there."""
        labels = self._labels_of(split)
        return np.stack([labels[name] for name in names])

    def _labels_of(self, split):
        """{name: (20,) int8} of a split, read once."""
        check_split(split)
        if split not in self._labels:
            columns = [self._read_list(f"{name}_{_SETS[split]}.txt") for name in self.classes]
            if any(column.keys() != columns[0].keys() for column in columns):
                raise SourceError(
                    f"the lists *_{_SETS[split]}.txt in {self.root / 'ImageSets/Main'} do not name the same photographs"
                )
            self._labels[split] = {name: np.array([column[name] for column in columns], np.int8) for name in columns[0]}
        return self._labels[split]

    def _read_list(self, file):
        path, found = self.root / "ImageSets" / "Main" / file, {}
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
            raise SourceError(f"{path} could not be read: {reason}") from error
        for number, line in enumerate(lines, 1):
            words = line.split()
            if not words:
                continue
            if len(words) != 2 or words[1] not in ("-1", "0", "1"):
                raise SourceError(f'{path}, line {number}: expected "<name> 1", "0" or "-1", got {line[:100]!r}')
            if not _is_name(words[0]):
                raise SourceError(f"{path}, line {number}: {words[0][:100]!r} is no name of a photograph in JPEGImages")
            found[words[0]] = int(words[1])
        if not found:
            raise SourceError(f"{path} names no photographs")
        return found

"""Where photographs come from, behind one small interface: a source has classes, and items in three splits.

    source = open_source("folder", root="~/holiday")
    for item in source.items("train"):
        rgb8 = source.read(item)          # uint8 (H, W, 3), or PhotoError
    prepared = prepare(source, "train", size=64)      # all of them as one array on disk

No photograph stands in two splits, and the split of a photograph never depends on the order of a disk's
listing. This file is the one door; the rooms behind it are bundled.py, folder.py, imagenette.py, voc.py,
world/, stream.py and prepared.py.
"""

from repro import paths
from repro.datasets.bundled import BundledSource, bundled_legacy
from repro.datasets.folder import SPLITS, FolderSource, Item, Source, SourceError
from repro.datasets.imagenette import IMAGENETTE_CLASSES, ImagenetteSource, registry
from repro.datasets.prepared import Prepared, load_prepared, prepare
from repro.datasets.voc import VocSource

__all__ = [
    "IMAGENETTE_CLASSES",
    "SPLITS",
    "BundledSource",
    "FolderSource",
    "ImagenetteSource",
    "Item",
    "Prepared",
    "Source",
    "SourceError",
    "VocSource",
    "bundled_legacy",
    "load_prepared",
    "open_source",
    "photographs_at",
    "prepare",
    "prepared_photographs",
    "prepared_world",
    "registry",
]

# ---- by name ----


def _world(**settings):
    from repro.datasets.world import WorldSource  # painted on demand; costs an import only where it is used

    return WorldSource(**settings)


def _shards(**settings):
    from repro.datasets.stream import ShardSource  # its libraries cost an import only where they are used

    return ShardSource(**settings)


_SOURCES = {
    "world": _world,
    "bundled": BundledSource,
    "folder": FolderSource,
    "imagenette": ImagenetteSource,
    "voc": VocSource,
    "shards": _shards,
}


def open_source(name, **settings):
    """A source by its name: "world", "bundled", "imagenette", or with root=... "folder", "voc" and "shards".

    settings go to the source.  Raises ValueError for an unknown name, SourceError where the source is not usable.
    """
    if name not in _SOURCES:
        raise ValueError(f"there is no source {name!r}; choose one of {', '.join(_SOURCES)}")
    return _SOURCES[name](**settings)


# ---- what the pages read ----

_BY_HAND = {
    "train": 600,
    "val": 100,
    "test": 100,
}  # scenes painted for a page that is run by hand before any pipeline


def prepared_photographs(split, pipeline=False):
    """The split that the pipeline's data stage prepared.

    For a page run by hand without one, a small painted world.
    """
    try:
        return load_prepared(paths.find(f"data/{split}.json", pipeline, "the data stage").parent, split)
    except FileNotFoundError:
        if pipeline:
            raise
        return prepare(_world(**_BY_HAND), split, size=64, destination=paths.SCRATCH / "data")


def prepared_world(split, pipeline=False, limit=500):
    """The first `limit` scenes of a split as `world.Scenes`, painted anew with their maps of things.

    None for photographs.

    As many scenes can be had as one likes: those beyond the prepared ones are as unseen as they are.
    """
    report = prepared_photographs(split, pipeline).report
    if report["source"] != "world":
        return None
    source = _world(**report["settings"], **dict.fromkeys(SPLITS, limit))
    return source.scenes(split, report["size"], limit)


def photographs_at(size, split, limit=None, pipeline=False):
    """The pipeline's photographs of a split at another size, read from their source once more: Prepared.

    For what needs more pixels than training does.  They are the first `limit` of those that were prepared.
    """
    prepared = prepared_photographs(split, pipeline)
    report = prepared.report
    limit = min(limit or len(prepared.names), len(prepared.names))
    if report["size"] == size:
        return Prepared(
            prepared.photos[:limit], prepared.labels[:limit], prepared.classes, prepared.names[:limit], report
        )
    counts = dict.fromkeys(SPLITS, limit) if report["source"] == "world" else {}
    source = open_source(report["source"], **report["settings"], **counts)
    return prepare(source, split, size, limit, paths.SCRATCH / f"data_{size}")


def to_train_on(prepared: Prepared):
    """What training reads: the prepared photographs.

    Where they come from shards, all of those (`Shards`).
    """
    if prepared.report["source"] != "shards":
        return prepared.photos
    from repro.datasets.manifest import open_shards

    return open_shards(prepared.report["settings"]["root"])

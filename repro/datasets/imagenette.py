"""Imagenette: ten classes of ImageNet, 13,394 photographs, fetched once and checked against a known sha256."""

import json
import os
import tarfile
import tempfile
import zlib
from pathlib import Path

from repro import paths
from repro.datasets.folder import FolderSource, SourceError

IMAGENETTE_CLASSES = {  # WordNet id -> name
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


def registry(source=None):
    """What data/registry.json says of all sources, or of one: address, sha256, licence, citation ...

    Raises SourceError if it has no such source.
    """
    entries = json.loads((paths.DATA / "registry.json").read_text(encoding="utf-8"))
    if source is not None and source not in entries:
        raise SourceError(f"data/registry.json has no source {source!r}, only {', '.join(entries)}")
    return entries if source is None else entries[source]


class ImagenetteSource(FolderSource):
    """Imagenette as a folder source: its train/ gives train and val, its val/ is test.

    root: where archive and photographs lie (default data/imagenette).  registry_entry: address, sha256 and
    folder of another archive of the same layout.  .classes: names people use; .wnids: WordNet ids, in the
    same order.
    Raises SourceError where it cannot be fetched, is not what the registry says, or is no safe archive.
    """

    name = "imagenette"

    def __init__(self, root=None, registry_entry=None):
        root = Path(root).expanduser() if root else paths.DATA / "imagenette"
        super().__init__(fetch_archive(registry_entry or registry("imagenette"), root))
        self.settings = {"root": str(root)}
        self.wnids = self.classes
        self.classes = tuple(IMAGENETTE_CLASSES.get(wnid, wnid) for wnid in self.wnids)


def fetch_archive(entry, root):
    """Download entry["address"] into root unless it lies there, check and unpack it: root / entry["folder"].

    The folder appears in one step when everything is unpacked: an interrupted run leaves no half tree.
    """
    root, folder = Path(root), Path(root) / entry["folder"]
    if folder.is_dir():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    _unpack(_download(entry, root), folder)
    return folder


def _download(entry, root):
    import pooch  # needs a moment; not needed once the photographs are there

    file = entry["address"].rsplit("/", 1)[-1]
    by_hand = f"Fetch {entry['address']} by other means, put it at {root / file} and run this again."
    try:
        return pooch.retrieve(entry["address"], known_hash=f"sha256:{entry['sha256']}", fname=file, path=root)
    except ValueError as error:  # pooch: the hash is another
        raise SourceError(
            f"{entry['address']} is not the file it should be (sha256 {entry['sha256']}) and was not kept. {by_hand}"
        ) from error
    except OSError as error:  # requests' errors are of this kind too
        raise SourceError(f"{entry['address']} could not be fetched ({type(error).__name__}). {by_hand}") from error


def _unpack(archive, folder):
    try:
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder.parent) as partial:
            with tarfile.open(archive) as tar:
                _extract(tar, partial)
            os.replace(Path(partial, folder.name), folder)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        if folder.is_dir():  # another run was faster
            return
        reason = " ".join(str(error).split())
        raise SourceError(
            f"{archive} could not be unpacked ({reason}); nothing was left at {folder}. "
            "Delete the archive and try again."
        ) from error


def _extract(tar, folder):
    """All members of a tar file; TarError for one that would leave the folder, or is neither a file nor a folder."""
    if hasattr(tarfile, "data_filter"):
        tar.extractall(folder, filter="data")
        return
    root = Path(folder).resolve()  # Python before 3.11.4
    for member in tar:
        if not (member.isfile() or member.isdir()) or not (root / member.name).resolve().is_relative_to(root):
            raise tarfile.TarError(f"{member.name} is no file within the folder")
        tar.extract(member, root)

"""What a folder of shards says of itself, its manifest, and the records in a shard.

Both may come from anybody: what they say is checked before memory or time is spent on it, and nothing in them is
unpacked, unpickled or used as a path.
"""

import hashlib
import json
import re
import tarfile
from dataclasses import dataclass
from io import BytesIO
from typing import Annotated

from webdataset.handlers import ignore_and_continue
from webdataset.tariterators import group_by_keys

from repro.datasets.fetching import LARGEST, ShardError, fetch
from repro.datasets.folder import SPLITS, check_split
from repro.kinds import check_record, checked, whole

MANIFEST, VERSION = "manifest.json", 1
PARTS = ("jpg", "cls", "txt")  # of a record
_BLOCK = 512  # bytes: a tar's, in which each member has one for its head and at least one for what it holds
_LEAST_RECORD = len(PARTS) * 2 * _BLOCK
_is_name = re.compile(r"[\w-]+\.tar", re.ASCII).fullmatch  # never a way to another folder
_SIDE = Annotated[int, "a whole number from 1 to 8192 (pixels)", lambda side: 1 <= side <= 8192]
_CLASSES = Annotated[tuple, "a list of names", lambda names: all(isinstance(name, str) for name in names)]


@dataclass(frozen=True)
class Shard:
    """One tar file, as the manifest has it: name, how many records, its size in bytes, its sha256."""

    name: Annotated[str, "a file's name NAME.tar", _is_name]
    count: whole(0)
    bytes: Annotated[int, f"a whole number from 0 to {LARGEST}", lambda size: 0 <= size <= LARGEST]
    sha256: Annotated[str, "64 hexadecimal digits", re.compile("[0-9a-f]{64}").fullmatch]

    def __post_init__(self):
        check_record(self)
        if self.count * _LEAST_RECORD > self.bytes:
            raise ValueError(f"{self.name} cannot hold {self.count} photographs in {self.bytes} bytes")


@dataclass(frozen=True)
class Shards:
    """What a manifest says.  splits: {split: its shards that have records}.  short_side: pixels.

    Its length is that of the training split.
    """

    location: str
    classes: tuple[str, ...]
    short_side: int
    splits: dict[str, tuple[Shard, ...]]

    def count(self, split):
        """Photographs in a split.  Raises ShardError if there are none."""
        check_split(split)
        total = sum(shard.count for shard in self.splits[split])
        if not total:
            raise ShardError(f"{self.location} has no photographs in its {split} split; choose another split")
        return total

    def __len__(self):
        return self.count("train")

    def fingerprint(self):
        """Short sha256 that tells one training set from another: of the shards' own."""
        sums = "".join(shard.sha256 for shard in self.splits["train"])
        return hashlib.sha256(sums.encode()).hexdigest()[:16]

    def read(self, shard):
        """A shard's records, as `records` gives them.

        Fewer than the manifest counts, where the shard is damaged; raises ShardError where it is whole and
        the manifest wrong, and as `fetch`.
        """
        data = self.fetch(shard)
        found = records(data)
        if len(found) != shard.count and hashlib.sha256(data).hexdigest() == shard.sha256:
            raise ShardError(
                f"{self.location}/{MANIFEST} says {shard.count} photographs in {shard.name}, which is whole and "
                f"has {len(found)}; write the shards anew"
            )
        return found[: shard.count]

    def fetch(self, shard):
        """A shard's bytes, all of them.  Raises ShardError where it is missing, or does not come in time."""
        try:
            return fetch(f"{self.location}/{shard.name}", shard.bytes)
        except FileNotFoundError:
            raise ShardError(
                f"{shard.name} is missing at {self.location}; write or copy it once more "
                "(`python -m repro shards --verify` names all that are missing)"
            ) from None


def open_shards(location):
    """The Shards in a folder or under a URL (https://, s3://, gs://, memory:// ...), by their manifest.

    Raises ShardError where there is no manifest, or it is none of ours, or it says what cannot be.
    """
    location = str(location).rstrip("/")
    try:
        return _from_manifest(location, json.loads(fetch(f"{location}/{MANIFEST}")))
    except FileNotFoundError:
        raise ShardError(
            f"there is no {MANIFEST} at {location}; write shards there with "
            "`python -m repro shards FOLDER --out DIR` (the manifest comes last, when all are finished)"
        ) from None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ShardError(
            f"{location}/{MANIFEST} is broken or of another kind ({type(error).__name__}: {reason}); write it "
            "once more with the command that wrote the shards"
        ) from None


def _from_manifest(location, manifest):
    if manifest["version"] != VERSION:
        raise ValueError(f"version {manifest['version']!r}, where {VERSION} is known")
    splits = {}
    for split in SPLITS:
        shards = [Shard(**entry) for entry in manifest["splits"][split]["shards"]]
        if len({shard.name for shard in shards}) < len(shards):
            raise ValueError(f"a shard of {split} is named twice")
        splits[split] = tuple(shard for shard in shards if shard.count)
    classes = checked("classes", manifest["classes"], _CLASSES)
    return Shards(location, classes, checked("short_side", manifest["short_side"], _SIDE), splits)


# ---- records ----


def records(data):
    """The records of a tar, grouped as webdataset does: list of dicts with "jpg", "cls" and "txt" (bytes).

    What is incomplete, or cannot be found because the tar is broken, is left out: the manifest's count says
    how many that are.  So are links, members with other endings, and members that would grow when they are
    unpacked: a tar that is compressed counts as broken.
    """
    found = group_by_keys(_members(data), handler=ignore_and_continue)
    return [record for record in found if record.keys() >= set(PARTS)]


def _members(data):
    """The plain files of a tar that belong to records, as webdataset passes them on."""
    try:
        with tarfile.open(fileobj=BytesIO(data), mode="r:") as tar:
            for member in tar:
                if member.isreg() and not member.issparse() and member.name.endswith(PARTS):
                    content = tar.extractfile(member).read()
                    if len(content) == member.size:
                        yield {"fname": member.name, "data": content, "__url__": ""}
    except (tarfile.TarError, OSError, ValueError, EOFError, ArithmeticError):
        return

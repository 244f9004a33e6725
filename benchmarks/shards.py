"""Reading training data: JPEG decoding beside Pillow's, shards beside reading their bytes alone, and writing them."""

import tarfile
import tempfile
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image

from benchmarks.measure import Figure, best_seconds
from benchmarks.photographs import write_jpegs
from repro.datasets.manifest import open_shards, records
from repro.datasets.shards import write_shards
from repro.datasets.stream import ShardStream, batches

BATCH = 40


def run(small=False):
    count, size, rounds = (8, 64, 1) if small else (400, 256, 5)
    with tempfile.TemporaryDirectory() as folder:
        files = write_jpegs(make(Path(folder, "photographs")), count, size + 40)
        write_shards(Path(folder, "photographs"), Path(folder, "shards"), size, max(1, count // 8), workers=2)
        shards = open_shards(Path(folder, "shards"))
        return [decoding(files, rounds), *reading(shards, size, rounds)]


def make(folder):
    folder.mkdir()
    return folder


def decoding(files, rounds):
    """One core: bytes to pixels."""
    data = [file.read_bytes() for file in files]
    seconds = best_seconds(
        {
            "simplejpeg": lambda: [simplejpeg.decode_jpeg(jpeg) for jpeg in data],
            "Pillow": lambda: [np.asarray(Image.open(BytesIO(jpeg))) for jpeg in data],
        },
        rounds,
    )
    return Figure(f"decoding {len(data)} JPEG files", "Pillow", seconds["simplejpeg"], seconds["Pillow"])


def reading(shards, size, rounds):
    """Seconds of all training photographs, read in several ways.

    Their records beside the tar's bytes alone; squares by one process beside decoding alone; by two workers beside
    one process.
    """
    own = shards.splits["train"]
    count = shards.count("train")
    steps = count // BATCH or 1
    jpegs = [record["jpg"] for shard in own for record in records(shards.fetch(shard))]
    stream = ShardStream(shards, "train", size, min(BATCH, count))
    workers = batches(shards, "train", size, min(BATCH, count), workers=2)
    seconds = best_seconds(
        {
            "records": lambda: [records(shards.fetch(shard)) for shard in own],
            "tar": lambda: [_tar_bytes(Path(shards.location, shard.name)) for shard in own],
            "squares": lambda: list(islice(iter(stream), steps)),
            "decoding": lambda: [simplejpeg.decode_jpeg(jpeg) for jpeg in jpegs],
            "workers": lambda: list(islice(workers, steps)),
        },
        rounds,
    )
    rate = {"photographs_per_second": steps * min(BATCH, count) / seconds["workers"]}
    name = f"{count} photographs of shards"
    return [
        Figure(f"{name}: records", "tarfile, bytes alone", seconds["records"], seconds["tar"], reading="plain"),
        Figure(
            f"{name}: squares, one process",
            "decoding alone",
            seconds["squares"],
            seconds["decoding"],
            reading="share",
        ),
        Figure(f"{name}: squares, two workers", "one process", seconds["workers"], seconds["squares"], notes=rate),
    ]


def _tar_bytes(path):
    with tarfile.open(path) as tar:
        return [tar.extractfile(member).read() for member in tar]

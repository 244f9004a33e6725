"""Damaged files through the command as people run it: each is coloured or named, in bounded time and memory.

python -m benchmarks.fuzz [--count N] [--seed S] [--formats NAME,...] [--seconds S] [--mib M] [--keep DIR]
"""

import argparse
import os
import queue
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from benchmarks.measure import Figure
from benchmarks.photographs import photograph
from repro.bins import ab_bins
from repro.colorizer.weights import save_weights
from repro.files import overheard
from repro.network import ColorizationNet
from repro.objectives import Objective
from repro.paths import ROOT

BATCH = 500  # files of one process
STARTING = 120  # seconds until the first line, on a busy machine
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "I;16", "F", "LAB", "YCbCr")
VARIANTS = (  # what a format also comes in, as options of Pillow's
    *(("TIFF", {"compression": name}) for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4")),
    ("TIFF", {"big_tiff": True}),
    ("JPEG", {"progressive": True}),
    ("WEBP", {"lossless": True}),
    *((name, {"save_all": True}) for name in ("GIF", "PNG", "TIFF", "WEBP", "MPO")),
)
NO_PHOTOGRAPHS = ("PDF", "BUFR", "GRIB", "HDF5", "WMF", "EPS", "PALM")


@dataclass
class Outcome:
    """What became of files: how many were coloured and skipped, and what went wrong, [(file, what)].

    slowest: seconds of one file.  peak: resident memory of a process, in bytes.
    """

    count: Counter = field(default_factory=Counter)
    slowest: float = 0.0
    peak: int = 0
    faults: list = field(default_factory=list)


def run(small=False):
    outcome = fuzz(*((40, 0) if small else (10_000, 0)))
    if outcome.faults:
        raise AssertionError(f"{len(outcome.faults)} damaged files went wrong: {outcome.faults[:5]}")
    notes = {name: float(value) for name, value in outcome.count.items()}
    return [
        Figure("damaged files, the slowest", "allowed", outcome.slowest, 20, reading="plain", notes=notes),
        Figure("damaged files, peak memory", "allowed", outcome.peak, 3 << 30, "bytes", "plain"),
    ]


def fuzz(count, seed, formats=None, seconds=20, mib=3072, keep=None, say=lambda line: None):
    """Damage `count` files and colour them.  seconds: of one file, at most; mib: of address space over the start."""
    rng, outcome = np.random.default_rng(seed), Outcome()
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, "tiny.safetensors")
        save_weights(weights, ColorizationNet(0.03), Objective("classification", ab_bins()), short_side=16)
        originals = [item for item in whole_files() if not formats or item[0].split("-")[0] in formats]
        for first in range(0, count, BATCH):
            album, out = Path(folder, "album"), Path(folder, "out")
            album.mkdir()
            for number in range(first, min(first + BATCH, count)):
                name, data = originals[number % len(originals)]
                other = originals[rng.integers(len(originals))][1]
                (album / f"{number:06d}-{name}").write_bytes(damaged(data, other, rng))
            files, found = sorted(album.iterdir()), len(outcome.faults)
            command = [sys.executable, "-m", "repro", "colorize", *files, "--out", out, "--weights", weights]
            try_files(command, [file.name for file in files], outcome, seconds, mib)
            for name, _ in outcome.faults[found:] if keep else ():
                Path(keep).mkdir(parents=True, exist_ok=True)
                shutil.copy(album / name, keep)
            shutil.rmtree(album)
            shutil.rmtree(out, ignore_errors=True)
            say(f"{min(first + BATCH, count)} of {count}: {dict(outcome.count)}, {len(outcome.faults)} faults")
    return outcome


# ---- the files ----


def whole_files():
    """[(MODE-format name, bytes)]: a photograph of 64 x 48 in every format and mode that Pillow writes."""
    photo = Image.fromarray(photograph(0.02)).resize((64, 48))
    exif, xmp = Image.Exif(), {"comment": "a photograph"}
    exif[274], exif[305] = 6, "scanner"
    files = {}
    Image.init()
    plain = [(name, {}) for name in sorted(Image.SAVE) if name not in NO_PHOTOGRAPHS]
    for format, options in (*plain, *VARIANTS):
        for mode in MODES:
            image, buffer = in_mode(photo, mode), BytesIO()
            more = {"append_images": [image.rotate(90)]} if "save_all" in options else {}
            try:
                with overheard():
                    image.save(buffer, format, **options, **more, **({"exif": exif, **xmp} if mode == "RGB" else {}))
            except Exception:  # this format has no such mode
                continue
            files[buffer.getvalue()] = f"{format}-{mode.replace(';', '')}{suffix_of(format)}"
    for kind in ("uint16", "int16", "float32"):
        for options in ({}, {"byteorder": ">"}, {"bigtiff": True}, {"planarconfig": "separate"}, {"tile": (16, 16)}):
            buffer = BytesIO()
            samples = np.asarray(photo).astype(kind)
            samples = samples.transpose(2, 0, 1) if "planarconfig" in options else samples
            tifffile.imwrite(buffer, samples, photometric="rgb", **options)
            files[buffer.getvalue()] = f"TIFF-{kind}.tif"
    return sorted((name, data) for data, name in files.items())


def in_mode(photo, mode):
    if mode == "I;16":
        return Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    if mode == "LAB":
        return Image.frombytes("LAB", photo.size, photo.tobytes())
    return photo.convert("L").convert(mode) if mode in ("I", "F") else photo.convert(mode)


def suffix_of(format):
    own = [suffix for suffix, name in sorted(Image.registered_extensions().items()) if name == format]
    return own[0] if own and own[0] not in (".apng",) else ".png"


def damaged(data, other, rng):
    """One injury or a few: bytes, bits, numbers of a header, pieces lost, doubled, cut off or from another file."""
    data = bytearray(data)
    for _ in range(rng.geometric(0.6)):
        reach = len(data) if rng.random() < 0.5 else min(len(data), 400)  # headers decide more than pixels
        at, length = int(rng.integers(reach + 1)), int(rng.integers(1, 65))
        kind = rng.integers(7)
        if kind == 0:
            data[at : at + length] = rng.bytes(min(length, 4))
        elif kind == 1 and at < len(data):
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            number = int(rng.choice([0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 30_000, 0x7FFFFFFF, 0xFFFFFFFF]))
            size = int(rng.choice([2, 4]))
            data[at : at + size] = (number % 256**size).to_bytes(size, str(rng.choice(["little", "big"])))
        elif kind == 3:
            del data[at : at + length]
        elif kind == 4:
            data[at:at] = data[at : at + length]
        elif kind == 5:
            start = int(rng.integers(len(other)))
            data[at : at + length] = other[start : start + length]
        elif rng.random() < 0.3:
            del data[at:]
    return checked_again(bytes(data)) if rng.random() < 0.7 else bytes(data)


def checked_again(data):
    """A PNG whose chunks have the right checksums, so that the damage is met behind them; else as it is."""
    if not data.startswith(b"\x89PNG"):
        return data
    parts, at = [data[:8]], 8
    while at + 12 <= len(data) and at + 12 + (length := int.from_bytes(data[at : at + 4], "big")) <= len(data):
        chunk = data[at + 4 : at + 8 + length]
        parts.append(data[at : at + 4] + chunk + zlib.crc32(chunk).to_bytes(4, "big"))
        at += 12 + length
    return b"".join(parts) + data[at:]


# ---- the command ----


def try_files(command, names, outcome, seconds, mib):
    """Run the command on files of these names, and add to `outcome` what its lines say of each."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, ((mib + 2048) << 20,) * 2)  # 2 GiB of it are torch's code
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment,
        preexec_fn=limit,
    )  # fmt: skip
    lines = queue.Queue()
    threading.Thread(target=hand_on, args=(process.stdout, lines), daemon=True).start()
    left, told, began, hung = set(names), [], None, False
    while True:
        try:
            line = lines.get(timeout=seconds if began else STARTING)
        except queue.Empty:
            process.kill()
            hung = True
            break
        if line is None:
            break
        now = time.perf_counter()
        outcome.slowest, began = max(outcome.slowest, now - (began or now)), now
        took_note(line, left, outcome) or told.append(line.rstrip())
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    outcome.peak = max(outcome.peak, used.ru_maxrss * 1024)
    if hung:
        outcome.faults.append((min(left, default=""), f"nothing for {seconds if began else STARTING} seconds"))
    elif process.returncode not in (0, 1) or left:
        last = " | ".join(told[-3:])
        outcome.faults.append((min(left, default=""), f"ended with {process.returncode}; {len(left)} unnamed: {last}"))


def hand_on(stream, lines):
    for line in stream:
        lines.put(line)
    lines.put(None)


def took_note(line, left, outcome):
    """Is the line what became of one of the files? Their names begin with six digits of their own."""
    number = re.search(r"/(\d{6})-", line)
    name = next((name for name in left if number and name.startswith(number[1])), None)
    if name is None or not line.startswith(("[", "skipped ")):
        return False
    left.discard(name)
    outcome.count["coloured" if line.startswith("[") else "skipped"] += 1
    if "cannot be coloured (" in line:
        outcome.faults.append((name, line.strip()))
    return True


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000, help="files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--formats", type=lambda text: text.upper().split(","), help="of Pillow's names; all by default"
    )
    parser.add_argument("--seconds", type=float, default=20, help="that one file may take")
    parser.add_argument("--mib", type=int, default=3072, help="of memory that one file may take")
    parser.add_argument("--keep", metavar="DIR", help="where the files that went wrong are copied to")
    options, began = parser.parse_args(arguments), time.monotonic()
    outcome = fuzz(**vars(options), say=lambda line: print(line, flush=True))
    print(f"{dict(outcome.count)}; the slowest took {outcome.slowest:.2f} s, the peak of memory was "
          f"{outcome.peak >> 20} MiB; {time.monotonic() - began:.0f} s in all")  # fmt: skip
    for name, what in outcome.faults:
        print(f"{name}: {what}")
    return int(bool(outcome.faults))


if __name__ == "__main__":
    sys.exit(main())

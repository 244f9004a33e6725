"""Shards: written whole whatever happens, and read in an order that is decided by (seed, position) alone."""

import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import threading
import time
import tracemalloc
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path

import fsspec
import numpy as np
import psutil
import pytest
import simplejpeg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from repro.__main__ import main
from repro.bins import ab_bins
from repro.datasets import fetching
from repro.datasets import stream as stream_module
from repro.datasets.fetching import ShardError
from repro.datasets.manifest import Shards, open_shards, records
from repro.datasets.photographs import read_photo, resize_short
from repro.datasets.shard import _read_reduced, small_jpeg
from repro.datasets.shards import write_shards
from repro.datasets.sources import FolderSource, SourceError, load_prepared, open_source, prepare
from repro.datasets.stream import ShardStream, batches, once
from repro.objectives import Objective
from repro.training.loop import train
from repro.training.settings import TrainingSettings

SIDE = 16
SETTINGS = {"short_side": SIDE, "per_shard": 6, "held_out": 9, "workers": 1}


def picture(number, size=(30, 20)):
    """Red and green say which one it is, blue runs from left to right."""
    rgb8 = np.empty((size[1], size[0], 3), np.uint8)
    rgb8[..., 0], rgb8[..., 1] = 32 * (number % 8), 32 * (number // 8 % 8)
    rgb8[..., 2] = np.linspace(40, 215, size[0])
    return Image.fromarray(rgb8)


def numbers(photos):
    """Which pictures a batch of squares shows."""
    red, green = (photos[..., channel].float().mean((1, 2)) for channel in (0, 1))
    return ((red / 32).round() + 8 * (green / 32).round()).int().tolist()


def save(image, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """ImageNet's layout in small: 40 to train on, 20 others, two classes each."""
    root = tmp_path_factory.mktemp("tree")
    for number in range(60):
        folder = root / ("train" if number < 40 else "val") / "ab"[number % 2]
        save(picture(number), folder / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def written(tree, tmp_path_factory):
    out = tmp_path_factory.mktemp("shards")
    write_shards(tree, out, **SETTINGS)
    return out


@pytest.fixture
def copy(written, tmp_path):
    """A copy of the shards to be spoiled."""
    for path in written.iterdir():
        (tmp_path / "copy" / path.name).parent.mkdir(exist_ok=True)
        (tmp_path / "copy" / path.name).write_bytes(path.read_bytes())
    return tmp_path / "copy"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(fetching, "WAIT", 0.005)


def files_of(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def command(*arguments):
    return [sys.executable, "-m", "repro", "shards", *map(str, arguments)]


def start(*arguments):
    return subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition, process, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.005)


# ---- writing ----


def test_every_photograph_stands_in_one_record(tree, written):
    manifest, source = manifest_of(written), FolderSource(tree, held_out=9)
    assert {split: entry["count"] for split, entry in manifest["splits"].items()} == {
        "train": 40,
        "val": 9,
        "test": 9,
    }
    assert sorted(os.listdir(written)) == sorted(
        ["manifest.json"] + [f"train-{n:06d}.tar" for n in range(7)]
        + [f"{split}-{n:06d}.tar" for split in ("val", "test") for n in range(2)]
    )  # fmt: skip
    for split, entry in manifest["splits"].items():
        found, keys = {}, []
        for shard in entry["shards"]:
            data = (written / shard["name"]).read_bytes()
            assert shard["bytes"] == len(data) and shard["sha256"] == hashlib.sha256(data).hexdigest()
            assert shard["count"] == len(records(data))
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                assert all(m.mtime == m.uid == m.gid == 0 and not m.uname for m in tar.getmembers())
            for record in records(data):
                keys.append(int(record["__key__"]))
                found[record["txt"].decode()] = int(record["cls"])
                assert Image.open(io.BytesIO(record["jpg"])).size == (24, 16)
        assert keys == list(range(len(found)))
        assert found == {item.name: item.label for item in source.items(split)}
    assert manifest["classes"] == ["a", "b"] and manifest["left_out"] == []


def test_a_shard_is_a_sample_of_its_split(written):
    """Not by class, nor in the order of the names."""
    for number in range(6):
        names = [record["txt"].decode() for record in records((written / f"train-00000{number}.tar").read_bytes())]
        assert {name.split("/")[1] for name in names} == {"a", "b"} and names != sorted(names)


@pytest.mark.slow
def test_the_same_bytes_at_every_run_and_by_processes(tree, written, tmp_path):
    result = subprocess.run(
        command(tree, "--out", tmp_path, "--short-side", SIDE, "--per-shard", 6, "--held-out", 9),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert files_of(tmp_path) == files_of(written)
    lines = result.stdout.splitlines()
    assert lines[0].startswith("[1/11] ") and "a second, 0 left out" in lines[0] and len(lines) == 12
    assert "train 40, val 9, test 9 photographs, 0 left out" in lines[-1]


def test_any_format_and_what_is_left_out_is_named(tmp_path):
    photo, root = picture(20, (60, 40)), tmp_path / "tree"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    for number in range(3):
        save(photo, root / f"{('train', 'val', 'test')[number]}/plain.jpg", quality=90 + number)
    train = root / "train"
    save(photo, train / "turned.jpg", exif=exif)
    save(photo.convert("RGBA"), train / "alpha.png")
    save(photo.convert("P"), train / "palette.gif")
    save(photo.convert("CMYK"), train / "print.tif")
    save(photo.resize((400, 10)), train / "strip.webp")
    save(photo.resize((1, 90)), train / "upright.bmp")
    save(photo.convert("L"), train / "gray.jpg")
    (train / "broken.jpg").write_bytes((train / "plain.jpg").read_bytes()[:400])
    (train / "empty.png").touch()
    os.symlink(tmp_path / "nowhere", train / "link.png")
    manifest = write_shards(root, tmp_path / "out", **SETTINGS | {"per_shard": 20})
    found = {
        record["txt"].decode(): Image.open(io.BytesIO(record["jpg"])).size
        for record in records((tmp_path / "out/train-000000.tar").read_bytes())
    }
    plain = dict.fromkeys(("plain.jpg", "alpha.png", "palette.gif", "print.tif"), (24, 16))
    odd = {"turned.jpg": (16, 24), "strip.webp": (64, 16), "upright.bmp": (16, 64)}
    assert found == {f"train/{name}": size for name, size in (plain | odd).items()}
    reasons = {photo["name"]: photo["reason"] for photo in manifest["left_out"]}
    assert reasons["train/gray.jpg"] == "a grayscale photograph"
    assert reasons["train/empty.png"] == "the file is empty" and "cut off" in reasons["train/broken.jpg"]
    assert "No such file" in reasons["train/link.png"] and len(reasons) == 4
    assert open_shards(tmp_path / "out").count("train") == 7


def test_a_long_photograph_loses_both_ends():
    buffer = io.BytesIO()
    picture(20, (1000, 50)).save(buffer, "PNG")
    short = read_photo(small_jpeg(buffer.getvalue(), "x", 16, 95))
    assert short.shape == (16, 64, 3)
    blue = short[8, :, 2].astype(int)  # 200 of 1000 pixels about the middle
    assert abs(blue.mean() - 127.5) < 3 and 110 - 4 < blue.min() < blue.max() < 145 + 4


@pytest.mark.parametrize(("size", "kind"), [((1024, 768), "noise"), ((768, 640), "noise"), ((1024, 768), "edges")])
def test_a_large_photograph_is_decoded_smaller_and_looks_the_same(size, kind):
    rng = np.random.default_rng(0)
    rgb8 = rng.integers(0, 256, (size[1] // 16, size[0] // 16, 3), dtype=np.uint8)
    image = Image.fromarray(rgb8).resize(size, Image.NEAREST if kind == "edges" else Image.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92)
    reduced = _read_reduced(buffer.getvalue(), "x", 128)
    assert 256 <= min(reduced.shape[:2]) < min(size)
    whole = resize_short(read_photo(buffer.getvalue()), 128)
    difference = np.abs(resize_short(reduced, 128).astype(int) - whole)
    assert difference.mean() < (2 if kind == "edges" else 1) and difference.max() < 40


def test_small_or_odd_jpegs_are_read_as_ever(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3
    for options in ({}, {"exif": exif}, {"progressive": True}):
        size = (600, 500) if options else (100, 80)
        picture(9, size).save(tmp_path / "x.jpg", **options)
        data = (tmp_path / "x.jpg").read_bytes()
        if "progressive" not in options:
            assert np.array_equal(_read_reduced(data, "x", 60), read_photo(data))
    picture(9, (600, 500)).convert("L").save(tmp_path / "gray.jpg")
    data = (tmp_path / "gray.jpg").read_bytes()
    assert np.array_equal(_read_reduced(data, "x", 60), read_photo(data))


# ---- interrupted, and gone on with ----


@pytest.fixture(scope="module")
def slow_tree(tmp_path_factory):
    """Photographs that take a moment each."""
    root = tmp_path_factory.mktemp("slow")
    for number in range(40):
        folder = root / ("train" if number < 30 else "val")
        save(picture(number, (900, 700)), folder / f"{number}.png", compress_level=1)
    return root


def slow(tree, out, workers=1):
    return [tree, "--out", out, "--short-side", 48, "--per-shard", 1, "--held-out", 5, "--workers", workers]


@pytest.fixture(scope="module")
def slow_written(slow_tree, tmp_path_factory):
    out = tmp_path_factory.mktemp("uninterrupted")
    assert main([str(part) for part in ("shards", *slow(slow_tree, out))]) == 0
    return files_of(out)


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on(slow_tree, slow_written, tmp_path):
    """SIGKILL twice, once between a shard and its sidecar as far as the disk can tell."""
    for least in (3, 12):
        process = start(*slow(slow_tree, tmp_path))
        wait_for(lambda: len(list(tmp_path.glob("*.json"))) >= least, process)  # noqa: B023
        process.kill()
        process.communicate()
    done = {path.stem for path in tmp_path.glob("*.json")}
    assert least <= len(done) < 40 and "manifest" not in done
    spoiled = min(done)
    (tmp_path / f"{spoiled}.json").unlink()
    (tmp_path / ".train-000009.tar.1.part").write_bytes(b"half")
    times = {name: (tmp_path / f"{name}.tar").stat().st_mtime_ns for name in done - {spoiled}}
    result = subprocess.run(command(*slow(slow_tree, tmp_path)), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"[{len(done)}/40]")  # of which one once more
    assert all((tmp_path / f"{name}.tar").stat().st_mtime_ns == then for name, then in times.items())
    assert files_of(tmp_path) == slow_written


def workers_of(process):
    children = psutil.Process(process.pid).children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.slow
def test_a_killed_worker_is_one_line_and_a_killed_command_takes_its_workers_along(slow_tree, slow_written, tmp_path):
    process = start(*slow(slow_tree, tmp_path, workers=2))
    wait_for(lambda: list(tmp_path.glob("*.json")), process)
    workers_of(process)[0].kill()
    _, errors = process.communicate()
    assert process.returncode == 1
    assert errors.startswith("error: a worker process was killed") and errors.count("\n") == 1
    done = len(list(tmp_path.glob("*.json")))
    process = start(*slow(slow_tree, tmp_path, workers=2))
    wait_for(lambda: len(list(tmp_path.glob("*.json"))) > done, process)
    workers = workers_of(process)
    process.kill()
    process.communicate()
    assert len(workers) == 2 and not psutil.wait_procs(workers, timeout=60)[1]
    assert main([str(part) for part in ("shards", *slow(slow_tree, tmp_path))]) == 0
    assert files_of(tmp_path) == slow_written


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB, and what makes it larger."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this process may not mount a small file system to fill")
    yield disk, lambda: subprocess.run(["mount", "-o", "remount,size=9m", str(disk)], check=True)
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_one_line_and_what_is_done_is_kept(small_disk, tree, written, capsys):
    disk, enlarge = small_disk
    arguments = ["shards", str(tree), "--out", str(disk), "--short-side", str(SIDE), "--per-shard", "6"]
    arguments += ["--held-out", "9", "--workers", "1"]
    assert main(arguments) == 1
    errors = capsys.readouterr().err
    assert "No space left" in errors and str(disk) in errors and errors.count("\n") == 1
    kept = {path.name: path.stat().st_mtime_ns for path in disk.glob("*.tar")}
    assert 0 < len(kept) < 11 and not list(disk.glob(".*"))
    enlarge()
    assert main(arguments) == 0
    sidecars = sum((disk / name).stat().st_mtime_ns == then for name, then in kept.items())
    assert sidecars >= len(kept) - 1  # the last one's sidecar may have found no room
    assert files_of(disk) == files_of(written)


@pytest.mark.parametrize(
    ("folder", "out", "said"),
    [
        ("TREE", "TREE/train/a/0.png/out", "cannot write to"),
        ("EMPTY", "out", "no photographs in"),
        ("nowhere", "out", "not a folder"),
        (None, "out", "give the FOLDER"),
    ],
)
def test_what_cannot_be_done_is_one_line(folder, out, said, tree, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    places = {"TREE": str(tree), "EMPTY": str(tmp_path / "empty")}
    out = out.replace("TREE", str(tree)) if "TREE" in out else str(tmp_path / out)
    arguments = ["shards", *([places.get(folder, folder)] if folder else []), "--out", out]
    assert main(arguments) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("error: ") and said in errors and errors.count("\n") == 1
    assert main(["shards", str(tree), "--out", str(tmp_path / "out"), "--quality", "0"]) == 1


def test_all_there_means_nothing_to_do(tree, copy, capsys):
    before = {path: path.stat().st_mtime_ns for path in copy.iterdir()}
    (copy / "train-000001.json").write_text("{}")  # killed before the sidecars were removed
    write_shards(tree, copy, **SETTINGS)
    assert "all 11 shards are there; nothing to do" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in copy.iterdir()} == before


def test_a_lost_shard_is_written_anew(tree, written, copy):
    (copy / "train-000003.tar").unlink()
    (copy / "val-000001.tar").write_bytes(b"short")
    write_shards(tree, copy, **SETTINGS)
    assert files_of(copy) == files_of(written)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"short_side": 8}, r"\(short side 16 there, 8 now\)"),
        ({"quality": 50}, r"quality 90 there, 50 now"),
        ({"held_out": 4}, r"val photographs 9 there, 4 now; test photographs 9 there, 4 now"),
        ({"per_shard": 5}, r"photographs a shard 6 there, 5 now"),
    ],
)
def test_another_plan_is_refused_with_what_differs(change, said, tree, copy):
    before = files_of(copy)
    with pytest.raises(SourceError, match=said + ".*choose another --out"):
        write_shards(tree, copy, **SETTINGS | change)
    assert files_of(copy) == before


@pytest.mark.slow
def test_another_plan_is_refused_while_unfinished(slow_tree, tree, tmp_path):
    process = start(*slow(slow_tree, tmp_path))
    wait_for(lambda: list(tmp_path.glob("*.json")), process)
    process.kill()
    process.communicate()
    with pytest.raises(SourceError, match="train photographs 30 there, 40 now"):
        write_shards(tree, tmp_path, **SETTINGS)


def test_verify_names_each_fault(copy, capsys):
    assert main(["shards", "--verify", str(copy)]) == 0
    assert "11 shards, 0 faulty" in capsys.readouterr().out
    (copy / "train-000002.tar").unlink()
    (copy / "val-000000.tar").write_bytes((copy / "val-000000.tar").read_bytes()[:5000])
    overwrite(copy / "test-000001.tar", 700, b"?")
    assert main(["shards", "--verify", str(copy)]) == 1
    errors = capsys.readouterr().err
    assert "train-000002.tar is missing" in errors and "val-000000.tar could not be read (5000 bytes" in errors
    assert "test-000001.tar: its bytes are not those that were written" in errors
    assert errors.count("\n") == 4
    assert main(["shards", "--verify", str(copy / "none")]) == 1
    assert "there is no manifest.json" in capsys.readouterr().err


# ---- the order ----


@pytest.fixture(scope="module")
def shards(written):
    return open_shards(written)


def taken(stream, count):
    return [(numbers(photos), photos, skipped) for photos, skipped in islice(stream, count)]


def same(ones, others):
    assert len(ones) == len(others)
    return all(torch.equal(a[1], b[1]) and a[2] == b[2] for a, b in zip(ones, others, strict=True))


def test_an_epoch_has_every_photograph_once_and_each_its_own_order(shards):
    stream = [number for batch, _, skipped in taken(ShardStream(shards, "train", 16, 10), 12) for number in batch]
    epochs = stream[:40], stream[40:80], stream[80:]
    assert all(sorted(epoch) == list(range(40)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) == 3
    assert taken(ShardStream(shards, "train", 16, 10, seed=1), 1)[0][0] != stream[:10]


@settings(max_examples=25)
@given(seed=st.integers(0, 2**40), batch=st.integers(1, 17), start=st.integers(0, 30))
def test_a_start_gives_what_an_unbroken_run_gives(shards, seed, batch, start):
    whole = taken(ShardStream(shards, "train", 8, batch, seed), start + 3)
    again = taken(ShardStream(shards, "train", 8, batch, seed, start=start), 3)
    assert same(whole[start:], again)
    assert all(photos.shape == (batch, 8, 8, 3) and photos.dtype == torch.uint8 for _, photos, _ in whole)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes")
@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_a_start_is_exact_for_any_number_of_workers(shards, workers):
    def take(start, count):
        return taken(batches(shards, "train", 8, 4, 5, workers=workers, start=start), count)

    whole = take(0, 13)
    for start in (1, 2, 7):
        assert same(whole[start:], take(start, 13 - start))
    loader = torch.utils.data.DataLoader(
        ShardStream(shards, "train", 8, 4, 5), None, num_workers=workers, persistent_workers=workers > 0
    )
    for _ in range(2):  # a persistent loader begins again
        assert same(whole[:5], taken(loader, 5))


def test_ranks_and_workers_share_an_epoch(shards):
    """3 ranks of 7 shards: 3, 2 and 2 of them."""
    seen = []
    for rank, count in enumerate((3, 2, 2)):
        stream = ShardStream(shards, "train", 8, 1, 4, rank, 3)
        lengths = [shards.splits["train"][number].count for _, number, _ in islice(stream._plan(rank, 3, 0), count)]
        seen += [number for batch, _, _ in taken(stream, sum(lengths)) for number in batch]
    assert sorted(seen) == list(range(40))
    by_workers = taken(batches(shards, "train", 8, 1, 4, workers=2), 4)
    by_ranks = [taken(ShardStream(shards, "train", 8, 1, 4, rank, 2), 2) for rank in range(2)]
    assert same(by_workers, [by_ranks[0][0], by_ranks[1][0], by_ranks[0][1], by_ranks[1][1]])


def test_a_start_reads_no_shard_that_it_skips(shards, monkeypatch):
    fetched = []
    original = Shards.fetch
    monkeypatch.setattr(Shards, "fetch", lambda self, shard: fetched.append(shard.name) or original(self, shard))
    taken(ShardStream(shards, "train", 8, 40, start=1000), 1)
    assert len(fetched) <= 10  # an epoch's seven, a border, and one ahead


def test_squares_lie_anywhere_along_the_long_side(shards):
    blue = [photos[..., 2].float().mean((1, 2)) for _, photos, _ in taken(ShardStream(shards, "train", 16, 40), 5)]
    blue = torch.stack(blue).flatten()
    assert blue.min() < 105 and blue.max() > 150 and abs(blue.mean() - 127.5) < 5
    central = torch.cat([photos for photos, _, _ in once(shards, "train", 16, workers=0)])
    assert (central[..., 2].float().mean((1, 2)) - 127.5).abs().max() < 4


def test_too_few_shards_and_senseless_parameters(shards):
    with pytest.raises(ShardError, match="2 shards of val .* at most 1 workers a rank"):
        next(batches(shards, "val", 8, 1, world=2, workers=2))
    with pytest.raises(ValueError, match=r"size must be 1\.\.16.*--short-side 17"):
        ShardStream(shards, "train", 17, 1)
    for bad in ({"batch": 0}, {"start": -1}, {"rank": 2, "world": 2}):
        with pytest.raises(ValueError, match="expected batch >= 1"):
            ShardStream(shards, "train", 8, **{"batch": 1} | bad)
    with pytest.raises(ValueError, match="train, val, test"):
        ShardStream(shards, "all", 8, 1)


@pytest.mark.parametrize("world", [1, 2])
@pytest.mark.parametrize("workers", [0, 2])
def test_once_is_every_photograph_once(shards, tree, world, workers):
    seen, label_of = Counter(), {number: number % 2 for number in range(60)}
    for split, expected in (("train", 40), ("test", 9)):
        found = []
        for rank in range(world):
            for photos, labels, skipped in once(shards, split, 8, rank, world, workers, batch=7):
                assert len(photos) == len(labels) <= 7 and photos.shape[1:] == (8, 8, 3) and skipped == 0
                assert labels.tolist() == [label_of[number] for number in numbers(photos)]
                found += numbers(photos)
        assert len(found) == len(set(found)) == expected
        seen.update(found)
    assert max(seen.values()) == 1


# ---- what is broken ----


def overwrite(path, offset, content):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(content)


def spoil(folder, shard, record, part="jpg"):
    """Overwrite a record's JPEG, or the tar header before it.  Returns its number."""
    with tarfile.open(folder / shard) as tar:
        member = [member for member in tar.getmembers() if member.name.endswith(".jpg")][record]
    number = records((folder / shard).read_bytes())[record]["txt"].decode()
    offset, length = (member.offset_data, member.size) if part == "jpg" else (member.offset, 300)
    overwrite(folder / shard, offset, b"\xa5" * length)
    return int(Path(number).stem)


def test_a_corrupt_record_is_replaced_by_the_next_and_a_start_stays_exact(copy, shards):
    spoiled = {spoil(copy, "train-000001.tar", 2), spoil(copy, "train-000004.tar", 5)}
    spoiled |= {spoil(copy, "train-000004.tar", 4), spoil(copy, "train-000004.tar", 0)}
    broken = open_shards(copy)
    sound = taken(ShardStream(shards, "train", 8, 3), 40)
    whole = taken(ShardStream(broken, "train", 8, 3), 40)
    flat, meant = ([number for batch, _, _ in some for number in batch] for some in (whole, sound))
    following = [number for number in meant if number not in spoiled]
    for place, number in enumerate(flat):  # each in its place, or the next sound one
        assert number == next(later for later in meant[place:] + following if later not in spoiled)
    assert [skipped for *_, skipped in whole] == [sum(number in spoiled for number in batch) for batch, _, _ in sound]
    for start in range(37):
        assert same(whole[start : start + 3], taken(ShardStream(broken, "train", 8, 3, start=start), 3))
    for workers in (0, 2):
        found = [(numbers(photos), skipped) for photos, _, skipped in once(broken, "train", 8, workers=workers)]
        assert sorted(sum((some for some, _ in found), [])) == sorted(set(range(40)) - spoiled)
        assert sum(skipped for _, skipped in found) == 4


def test_a_broken_tar_costs_what_it_hides(copy):
    spoil(copy, "train-000002.tar", 3, "header")
    cut = (copy / "train-000005.tar").read_bytes()[:18500]
    (copy / "train-000005.tar").write_bytes(cut)
    with pytest.raises(ShardError, match=r"train-000005.tar could not be read \(18500 bytes came, where"):
        list(once(open_shards(copy), "train", 8, workers=0))
    manifest = manifest_of(copy)  # as if it had been so when it was written
    manifest["splits"]["train"]["shards"][5]["bytes"] = 18500
    (copy / "manifest.json").write_text(json.dumps(manifest))
    lost = 3 + 6 - len(records(cut))
    found = list(once(open_shards(copy), "train", 8, workers=0))
    assert sum(skipped for *_, skipped in found) == lost > 3
    assert sum(len(photos) for photos, *_ in found) == 40 - lost
    whole = taken(ShardStream(open_shards(copy), "train", 8, 8), 10)
    assert sum(skipped for *_, skipped in whole) == 2 * lost
    assert same(whole[6:], taken(ShardStream(open_shards(copy), "train", 8, 8, start=6), 4))


def test_nothing_sound_is_an_error_and_not_an_endless_search(copy):
    for shard in ("val-000000.tar", "val-000001.tar"):
        overwrite(copy / shard, 0, b"\0" * (copy / shard).stat().st_size)
    broken = open_shards(copy)
    with pytest.raises(ShardError, match="no record of val .* is sound"):
        next(iter(ShardStream(broken, "val", 8, 1)))
    assert [(len(photos), skipped) for photos, _, skipped in once(broken, "val", 8, workers=0)] == [(0, 9)]


@settings(max_examples=60)
@given(data=st.data())
def test_no_damage_to_a_tar_raises(written, data):
    tar = bytearray((written / "train-000000.tar").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(tar) - 1))
        tar[place : place + 9] = data.draw(st.binary(min_size=1, max_size=600))
    found = records(bytes(tar[: data.draw(st.integers(0, len(tar)))]))
    for record in found:
        square = stream_module._square(record["jpg"], 8, 0.5)
        assert square is None or square.shape == (8, 8, 3)


def test_a_missing_shard_is_an_error_with_its_name_also_from_a_worker(copy):
    (copy / "train-000003.tar").unlink()
    for workers in (0, 2):
        with pytest.raises(ShardError) as raised:
            taken(batches(open_shards(copy), "train", 8, 8, workers=workers), 9)
        assert str(raised.value).startswith("train-000003.tar is missing at ")
        assert str(copy) in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": 2}', '{"version": 1, "splits": {"train": 3}}'])
def test_a_broken_manifest_says_so(text, tmp_path):
    with pytest.raises(ShardError, match="there is no manifest.json at .* --out DIR"):
        open_shards(tmp_path)
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ShardError, match="manifest.json is broken or of another kind"):
        open_shards(tmp_path)


# ---- made to do harm ----


def told(folder, **changes):
    """Change what a manifest says of its first training shard, and of itself; returns its text."""
    manifest = manifest_of(folder)
    for name, value in changes.items():
        place = manifest if name in manifest else manifest["splits"]["train"]["shards"][0]
        place[name] = value
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "changes",
    [
        *({"count": count} for count in (10**6, 10**10, -1, "6", 5.5, None, True, [])),
        {"count": 10**10, "bytes": 10**14},
        *({"bytes": size} for size in (-1, 0, "many", None)),
        *({"name": name} for name in ("../train-000000.tar", "/etc/passwd", "a/b.tar", "http://x/a.tar", 5, "a.pkl")),
        *({"sha256": value} for value in ("", "x" * 64, None, 5)),
        *({"short_side": side} for side in (0, -1, "16", None, 10**400)),
        *({"classes": names} for names in (None, "ab", [1], {"a": 1})),
        {"unknown": 1},
        {"version": "1"},
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_what_a_manifest_says_is_checked_before_anything_is_read(copy, changes):
    told(copy, **changes)
    with pytest.raises(ShardError, match="manifest.json is broken or of another kind") as refused:
        open_shards(copy)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 600


@pytest.mark.parametrize("text", ["[" * 10**5, '{"version":' * 10**5, '{"version": 1, "splits": ' + "[" * 10**5])
def test_a_manifest_of_any_depth_is_one_line(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ShardError, match="manifest.json is broken") as refused:
        open_shards(tmp_path)
    assert len(str(refused.value)) < 600


def test_a_whole_shard_with_fewer_photographs_than_counted_is_the_manifests_fault(copy):
    told(copy, count=8)
    with pytest.raises(ShardError, match="says 8 photographs in train-000000.tar, which is whole and has 6"):
        list(once(open_shards(copy), "train", 8, workers=0))
    told(copy, count=5)
    with pytest.raises(ShardError, match="says 5 photographs in train-000000.tar, which is whole and has 6"):
        next(iter(ShardStream(open_shards(copy), "train", 8, 40)))


@pytest.mark.parametrize("text", ["[" * 10**5, '{"plan": 5}', '{"plan": {}, "splits": 3}', "keep the plan"])
def test_a_broken_manifest_or_sidecar_is_written_anew(tree, written, copy, text):
    if text == "keep the plan":
        text = json.dumps({"plan": manifest_of(copy)["plan"], "splits": {"train": {"shards": [{"name": 5}]}}})
    if text.startswith('{"plan": {}'):
        text = text.replace("{}", json.dumps(manifest_of(copy)["plan"]))
    for name in ("manifest.json", "train-000000.json"):
        (copy / name).write_text(text)
    write_shards(tree, copy, 16, 6, 9, workers=1)
    assert files_of(copy) == files_of(written)


def test_verifying_counts_the_photographs(copy, capsys):
    told(copy, count=7)
    assert main(["shards", "--verify", str(copy)]) == 1
    assert "train-000000.tar: it has 6 photographs, where manifest.json says 7" in capsys.readouterr().err


def tar_of(*members, mode="w"):
    """A tar of members: (name, bytes), or a TarInfo that has no content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            tar.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def special(name, kind, target="/etc/passwd"):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


class Boom:
    """Says, when it is unpickled, that it was."""

    def __reduce__(self):
        return (pytest.fail, ("something was unpickled",))


def sound(key, label=b"0", photo=None):
    jpeg = photo or simplejpeg.encode_jpeg(np.full((16, 16, 3), (200, 60, 30), np.uint8))
    return (f"{key}.jpg", jpeg), (f"{key}.cls", label), (f"{key}.txt", b"a/1.png")


def test_members_that_are_no_parts_of_records_are_passed_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad = pickle.dumps(Boom())
    data = tar_of(
        *sound("0"), ("0.pkl", bad), ("0.pyd", bad), ("0.pth", bad), ("0.pickle", bad),
        special("1.jpg", tarfile.SYMTYPE), special("1.cls", tarfile.LNKTYPE), special("1.txt", tarfile.FIFOTYPE),
        special("2.jpg", tarfile.CHRTYPE), special("3.jpg", tarfile.DIRTYPE),
        *sound("../../4"), *sound("/5"),
    )  # fmt: skip
    found = records(data)
    assert [set(record) - {"__key__", "__url__"} for record in found] == [{"jpg", "cls", "txt"}] * 3
    assert not list(tmp_path.iterdir()), "nothing is written anywhere"


def test_nothing_in_a_shard_grows(tmp_path):
    """Compressed tars, sparse members and lengths that lie cost no more than the bytes that are there."""
    bomb = tar_of(("0.jpg", bytes(200 * 2**20)), mode="w:gz")
    lying = bytearray(tar_of(*sound("0")))
    lying[124:136] = b"77777777777\0"  # 8 GiB
    lying[148:156] = b"%06o\0 " % sum(lying[:148] + b" " * 8 + lying[156:512])
    sparse = special("1.jpg", tarfile.GNUTYPE_SPARSE)
    sparse.size = 0
    before = psutil.Process().memory_info().rss
    tracemalloc.start()
    for data in (bomb, bytes(lying), tar_of(sparse)):
        assert records(data) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 2**20 and psutil.Process().memory_info().rss - before < 50 * 2**20


def of_one_shard(folder, data, count, **more):
    entry = {
        "name": "train-000000.tar",
        "count": count,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    splits = {"train": {"shards": [entry]}, "val": {"shards": []}, "test": {"shards": []}}
    manifest = {"version": 1, "short_side": 16, "classes": ["a", "b"], "splits": splits}
    folder.mkdir(exist_ok=True)
    (folder / "train-000000.tar").write_bytes(data)
    (folder / "manifest.json").write_text(json.dumps(manifest | more))
    return open_shards(folder)


def test_a_small_file_of_a_huge_photograph_and_impossible_labels_are_corrupt_records(tmp_path):
    huge = bytearray(simplejpeg.encode_jpeg(np.full((16, 16, 3), 90, np.uint8)))
    frame = huge.index(b"\xff\xc0")
    huge[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"  # 65,535 x 65,535 pixels
    labels = [b"2", b"-2", b"9" * 30, b"9" * 6000, b"nan", b"", b"\xff"]
    members = [*sound("0"), *sound("1", photo=bytes(huge))]
    for number, label in enumerate(labels, 2):
        members += sound(str(number), label)
    shards = of_one_shard(tmp_path / "x", tar_of(*members), len(labels) + 2)
    found = list(once(shards, "train", 8, workers=0))
    assert [(len(photos), skipped) for photos, _, skipped in found] == [(1, len(labels) + 1)]


# ---- over the network ----


class Unreliable(ThreadingHTTPServer):
    """Serves a folder, badly.

    drops: how many answers are cut after `after` bytes; refusals: how many are 503; stalls: how many come too late.
    """

    daemon_threads = True

    def __init__(self, folder, ranges=True):
        self.folder, self.ranges, self.drops, self.after, self.refusals = folder, ranges, 0, 4000, 0
        self.asked, self.sent, self.stalls = [], 0, 0
        super().__init__(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        server, path = self.server, self.server.folder / self.path.lstrip("/")
        server.asked.append((self.path, self.headers.get("Range")))
        if server.stalls:
            server.stalls -= 1
            time.sleep(0.5)
        if server.refusals:
            server.refusals -= 1
            return self.send_error(503)
        if not path.is_file():
            return self.send_error(404)
        data, first = path.read_bytes(), 0
        if server.ranges and "Range" in self.headers:
            first = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(data) - first))
        self.end_headers()
        body = data[first:]
        if server.drops and len(body) > server.after:
            server.drops -= 1
            body = body[: server.after]
        server.sent += len(body)
        self.wfile.write(body)
        self.wfile.flush()
        time.sleep(0.02)  # what has arrived is read before the connection ends

    def log_message(self, *_):
        pass


class Dripping(Answer):
    """Sends the head and half of a shard, then nothing (`pause` None), or a byte in so many seconds."""

    def do_GET(self):
        data, pause = (self.server.folder / self.path.lstrip("/")).read_bytes(), self.server.pause
        self.server.asked.append(self.path)
        first = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(data) - first))
        self.end_headers()
        if self.path.endswith(".json"):
            return self.wfile.write(data)
        half = max(first, len(data) // 2)
        self.wfile.write(data[first:half])
        try:
            for place in range(half, len(data)):
                self.server.closing.wait(pause)
                if self.server.closing.is_set():
                    return
                self.wfile.write(data[place : place + 1])
                if pause is None:
                    return
        except OSError:
            pass


@pytest.fixture
def drip(written):
    server = Unreliable(written)
    server.RequestHandlerClass, server.closing, server.pause = Dripping, threading.Event(), None
    yield server
    server.closing.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("pause", [None, 0.02])
def test_a_stall_is_bounded_however_little_arrives_and_is_said_meanwhile(drip, monkeypatch, capfd, pause):
    monkeypatch.setattr(fetching, "PATIENCE", 1.0)
    monkeypatch.setattr(fetching, "SILENCE", 0.3)
    monkeypatch.setattr(fetching, "SAY_EVERY", 0.2)
    drip.pause = pause
    shards, began = open_shards(drip.address), time.monotonic()
    with pytest.raises(ShardError, match="train-000000.tar could not be read.*run again") as stopped:
        shards.fetch(shards.splits["train"][0])
    assert 0.9 < time.monotonic() - began < 20 and "\n" not in str(stopped.value)
    said = capfd.readouterr().err.splitlines()
    assert len(said) >= 2 and all("train-000000.tar: " in line and "given up in" in line for line in said)


def test_a_training_whose_shards_stall_stops_with_its_state_kept(drip, written, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "PATIENCE", 1.0)
    monkeypatch.setattr(fetching, "SILENCE", 0.3)
    choices = TrainingSettings(
        "regression", width=0.03, steps=8, batch=4, crop=16, schedule="0:1e-3", initialization="he"
    )
    goal, validation = Objective("regression", ab_bins()), next(once(open_shards(written), "val", 16))[0].numpy()

    def run(shards, folder):
        lines = []
        result = train(shards, validation, choices, goal, folder, lines.append, checkpoint_every=1000)
        return result, lines

    monkeypatch.setattr(stream_module, "WORKERS", 1)
    whole, _ = run(open_shards(written), tmp_path / "whole")
    fetched, real = [], Shards.fetch

    def fetch(self, shard):  # the third shard does not come
        fetched.append(shard.name)
        there = self if len(fetched) > 2 else open_shards(written)
        return real(there, shard)

    with monkeypatch.context() as patched:
        patched.setattr(Shards, "fetch", fetch)
        patched.setattr("repro.datasets.stream._default_workers", lambda most: 0)
        with pytest.raises(SourceError, match=r"train-.*tar could not be .*stopped after step 3.*step-0+3") as stopped:
            run(open_shards(drip.address), tmp_path / "cut")
    assert "\n" not in str(stopped.value)
    monkeypatch.setattr("repro.datasets.stream._default_workers", lambda most: 0)
    again, lines = run(open_shards(written), tmp_path / "cut")
    assert "continuing at step 3" in lines[0]
    assert again.weights.read_bytes()[-10000:] == whole.weights.read_bytes()[-10000:]


@pytest.fixture
def serve():
    servers = []

    def start(folder, ranges=True):
        servers.append(Unreliable(folder, ranges))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_drops_is_taken_up_again(written, serve, ranges):
    server = serve(written, ranges)
    shards = open_shards(server.address + "/")
    shard = shards.splits["train"][0]
    server.sent, server.drops = 0, 3
    assert shards.fetch(shard) == (written / shard.name).read_bytes()
    if ranges:  # from the byte reached
        offsets = [int(header[6:-1]) if header else 0 for path, header in server.asked if path.endswith(".tar")]
        assert offsets == [0, 4000, 8000, 12000] and server.sent == shard.bytes
    server.drops = 10**6
    if ranges:  # always cut, but never in vain
        assert shards.fetch(shard) == (written / shard.name).read_bytes()
    else:
        with pytest.raises(ShardError, match=f"{shard.name} could not be read"):
            shards.fetch(shard)


def test_a_busy_server_is_asked_again_and_a_missing_shard_is_not(written, copy, serve):
    server = serve(copy)
    server.refusals = 2
    shards = open_shards(server.address)
    server.refusals = 2
    shard = shards.splits["val"][1]
    assert shards.fetch(shard) == (written / shard.name).read_bytes()
    (copy / shard.name).unlink()
    server.asked.clear()
    with pytest.raises(ShardError, match=f"{shard.name} is missing at {server.address}"):
        shards.fetch(shard)
    assert len(server.asked) == 1
    with pytest.raises(ShardError, match="there is no manifest.json at .*/deep"):
        open_shards(server.address + "/deep")
    server.refusals = 10**6
    with pytest.raises(ShardError, match="could not be read .503"):
        open_shards(server.address)


def test_a_server_that_falls_silent_is_left_and_asked_again(written, serve, monkeypatch):
    server = serve(written)
    shards = open_shards(server.address)
    monkeypatch.setattr(fetching, "SILENCE", 0.1)
    server.stalls = 2
    shard = shards.splits["train"][0]
    assert shards.fetch(shard) == (written / shard.name).read_bytes()
    server.stalls = 10**6
    with pytest.raises(ShardError, match="could not be read .*[Tt]ime"):
        shards.fetch(shard)
    server.stalls = 0


def test_a_shard_of_another_length_and_a_server_that_is_gone(copy, serve):
    server = serve(copy)
    shards = open_shards(server.address)
    for shard, length in zip(shards.splits["train"], (-600, 600), strict=False):
        data = (copy / shard.name).read_bytes()
        (copy / shard.name).write_bytes(data[:length] if length < 0 else data + bytes(length))
        with pytest.raises(ShardError, match=f"{shard.name} could not be read"):
            shards.fetch(shard)
    server.shutdown()
    server.server_close()
    with pytest.raises(ShardError, match="could not be read .*run again"):
        shards.fetch(shards.splits["train"][2])


def test_training_and_once_over_http(written, shards, serve):
    server = serve(written)
    remote = open_shards(server.address)
    server.drops, server.refusals = 5, 2
    for workers in (0, 2):
        ones = taken(batches(remote, "train", 8, 5, workers=workers, start=3), 6)
        assert same(ones, taken(batches(shards, "train", 8, 5, workers=workers, start=3), 6))
        found = [number for photos, *_ in once(remote, "train", 8, workers=workers) for number in numbers(photos)]
        assert sorted(found) == list(range(40))


def test_any_file_system_of_fsspec(written, shards):
    memory = fsspec.filesystem("memory")
    for name, content in files_of(written).items():
        memory.pipe(f"/imagenet/{name}", content)
    there = open_shards("memory://imagenet")
    assert there.splits == shards.splits and there.classes == ("a", "b") and there.short_side == 16
    assert same(taken(batches(there, "train", 8, 5), 3), taken(batches(shards, "train", 8, 5), 3))
    memory.rm("/imagenet/train-000000.tar")
    with pytest.raises(ShardError, match="train-000000.tar is missing at memory://imagenet"):
        there.fetch(there.splits["train"][0])
    with pytest.raises(ShardError, match="nosuch://x/manifest.json cannot be opened"):
        open_shards("nosuch://x")


# ---- as a source ----


def test_prepare_takes_the_first_of_the_shards(written, tree, tmp_path):
    source = open_source("shards", root=written)
    part = prepare(source, "train", 8, 15, tmp_path / "part")
    whole = prepare(source, "train", 8, None, tmp_path / "whole")
    assert len(whole.names) == 40 and part.names == whole.names[:15]
    assert np.array_equal(part.photos, whole.photos[:15])
    assert numbers(torch.from_numpy(np.array(whole.photos))) == [int(Path(name).stem) for name in whole.names]
    labels = {item.name: item.label for item in FolderSource(tree, held_out=9).items("train")}
    assert [labels[name] for name in whole.names] == whole.labels.tolist() and whole.classes == ("a", "b")
    assert len(prepare(source, "val", 8, 99, tmp_path / "val").names) == 9
    with pytest.raises(ValueError, match=r"size must be 1\.\.16"):
        prepare(source, "val", 32, None, tmp_path / "large")


def test_data_from_shards_reports_what_is_corrupt(copy, serve, tmp_path, capsys):
    number = spoil(copy, "train-000000.tar", 1)
    spoil(copy, "train-000006.tar", 2, "header")
    address = serve(copy).address
    arguments = [
        "data",
        "--source",
        "shards",
        "--folder",
        address,
        "--size",
        "8",
        "--out",
        str(tmp_path / "data"),
    ]
    assert main([*arguments, "--train", "0", "--val", "4", "--test", "0"]) == 0
    printed = capsys.readouterr().out
    assert "train: 37 photographs, 0 gray and 3 broken ones set aside" in printed and "val: 4 photo" in printed
    report = load_prepared(tmp_path / "data", "train").report
    assert report["settings"] == {"root": address} and report["source"] == "shards"
    assert report["rejected"][0]["reason"] == "a corrupt record of train-000000.tar"
    assert report["rejected"][0]["name"].endswith(f"/{number}.png")
    assert report["rejected"][1]["name"] == "train-000006.tar, record 2"
    assert main(["data", "--source", "shards", "--out", str(tmp_path)]) == 1
    assert "source shards needs data.folder in params.yaml, or --folder" in capsys.readouterr().err

"""Sources of photographs: fixed and disjoint splits, prepared arrays, Imagenette from a server on this machine."""

import hashlib
import io
import json
import os
import random
import shutil
import socket
import tarfile
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from repro import paths
from repro.datasets import prepared as prepared_module
from repro.datasets.folder import _limits, unit_hash
from repro.datasets.photographs import PhotoError, is_colorful
from repro.datasets.sources import (
    IMAGENETTE_CLASSES,
    SPLITS,
    BundledSource,
    FolderSource,
    ImagenetteSource,
    Item,
    Source,
    SourceError,
    bundled_legacy,
    load_prepared,
    open_source,
    photographs_at,
    prepare,
    registry,
)


def photo_bytes(number, gray=False):
    """A small PNG that no other number has, all of one file size."""
    color = (number % 256, number // 256 % 256, 200)
    image = Image.new("RGB", (8, 6), (color[0],) * 3 if gray else color)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def write(root, files):
    """files: {relative name: bytes, or a number for a photograph of its own}."""
    for name, content in files.items():
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else photo_bytes(content))
    return root


def names_by_split(source):
    return {split: [item.name for item in source.items(split)] for split in SPLITS}


# ---- folders ----


def test_hash_split_is_disjoint_complete_and_about_80_10_10(tmp_path):
    files = {f"{'cat' if number % 2 else 'dog'}/{number}.png": number for number in range(300)}
    names = names_by_split(FolderSource(write(tmp_path, files)))
    assert sorted(sum(names.values(), [])) == sorted(files)
    shares = [len(names[split]) / len(files) for split in SPLITS]
    assert np.allclose(shares, [0.8, 0.1, 0.1], atol=0.06)


@settings(max_examples=15, deadline=None)
@given(st.sets(st.text("abcé0", min_size=1, max_size=6), min_size=100, max_size=120), st.randoms())
def test_hash_split_does_not_depend_on_order_or_on_other_photographs(stems, order):
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        files = {f"{stem}.png": number for number, stem in enumerate(sorted(stems))}
        shuffled = list(files.items())
        order.shuffle(shuffled)
        first, second = FolderSource(write(one, files)), FolderSource(write(other, dict(shuffled[5:])))
        assume(min(len(source._names[split]) for source in (first, second) for split in ("val", "test")) > 4)
        placed = {item: split for split in SPLITS for item in first._names[split]}
        assert sorted(placed) == sorted(files) and sum(map(len, first._names.values())) == len(files)
        for split in SPLITS:
            assert all(placed[name] == split for name in second._names[split])


def test_hash_split_is_the_same_on_every_machine(tmp_path):
    """Written down once: a change would move photographs of users from test to train."""
    names = names_by_split(FolderSource(write(tmp_path, {f"{number}.png": number for number in range(50)})))
    assert names["val"] == ["3.png", "32.png", "35.png", "9.png"]
    assert names["test"] == ["23.png", "27.png", "31.png", "41.png", "49.png", "5.png"]


@settings(max_examples=20, deadline=None)
@given(st.sets(st.text("abcé0", min_size=1, max_size=6), min_size=20, max_size=40))
def test_a_box_of_few_photographs_leaves_enough_to_validate_and_to_test(stems):
    """Whatever their names, page 08's study has the four photographs that it needs."""
    with tempfile.TemporaryDirectory() as folder:
        names = names_by_split(FolderSource(write(folder, {f"{stem}.png": i for i, stem in enumerate(sorted(stems))})))
    assert sorted(sum(names.values(), [])) == sorted(f"{stem}.png" for stem in stems)
    assert len(names["val"]) >= 4 and len(names["test"]) >= 4 and len(names["train"]) >= len(stems) / 2


def test_limits_by_hand():
    """Twenty photographs whose hashes all lie below .5: the last four are tested on, the four before them validate."""
    places = [number / 40 for number in range(20)]
    assert _limits(places) == (places[12], places[16])
    assert _limits(places[:19]) == (0.8, 0.9), "fewer cannot spare so many"
    assert _limits([number / 100 for number in range(100)]) == (0.8, 0.9)


def test_accents_spelled_in_two_ways_are_one_name():

    assert unit_hash("\u00e9.jpg") == unit_hash("e\u0301.jpg")


def test_copies_go_to_one_split(tmp_path):
    files = {f"{number}.png": number for number in range(60)}
    copies = {f"copies/{number}-{turn}.jpg": photo_bytes(number) for number in range(20) for turn in range(4)}
    source = FolderSource(write(tmp_path, files | copies))
    split_of_content = {}
    for split, names in names_by_split(source).items():
        for name in names:
            content = (tmp_path / name).read_bytes()
            assert split_of_content.setdefault(content, split) == split
    assert source.duplicates == 0  # none had to go


def test_given_splits_are_kept_and_copies_leave_training(tmp_path):
    names = [f"{split}/{kind}/{number}.png" for split in SPLITS for kind in ("cat", "dog") for number in range(4)]
    files = {name: index for index, name in enumerate(names)}
    files["train/cat/copy of test.jpg"] = files["val/cat/copy of test.jpg"] = files["test/dog/1.png"]
    files["train/cat/copy of val.jpg"] = files["val/dog/2.png"]
    files["stray.png"] = 999
    source = FolderSource(write(tmp_path, files))
    names = names_by_split(source)
    assert {split: len(names[split]) for split in SPLITS} == {"train": 8, "val": 8, "test": 8}
    assert source.duplicates == 3 and not any("copy" in name for name in sum(names.values(), []))
    assert source.classes == ("cat", "dog")
    assert [item.label for item in source.items("test")] == [0] * 4 + [1] * 4
    assert len(FolderSource(tmp_path, find_duplicates=False).items("train")) == 10


def test_train_and_val_only_gives_test_and_a_carved_val(tmp_path):
    train = {f"train/{kind}/{number}.png": number + 1000 * (kind == "b") for kind in "ab" for number in range(200)}
    test = {f"val/a/{number}.png": number + 5000 for number in range(5)}
    source = FolderSource(write(tmp_path, train | test))
    names = names_by_split(source)
    assert names["test"] == sorted(test)
    assert sorted(names["train"] + names["val"]) == sorted(train)
    assert 5 <= len(names["val"]) <= 35
    assert names == names_by_split(FolderSource(tmp_path))


def imagenet_like(root, per_class):
    """60 photographs in train/; in val/ as many of each class as it says."""
    train = {
        f"train/{kind}/{number}.png": number + 100 * place for place, kind in enumerate("abc") for number in range(20)
    }
    other = {
        f"val/{kind}/{number}.png": 1000 + number + 100 * place
        for place, (kind, count) in enumerate(per_class.items())
        for number in range(count)
    }
    return write(root, train | other)


@pytest.mark.parametrize(
    ("per_class", "held_out", "classes_in_val"),
    [
        ({"a": 20, "b": 20, "c": 20}, 12, [4, 4, 4]),
        ({"a": 20, "b": 20, "c": 4}, 10, [4, 4, 2]),  # of the rare one, half to each
        ({"a": 3, "b": 3, "c": 3}, 100, [2, 1, 2]),  # half of what there is
    ],
)
def test_held_out_photographs_are_drawn_from_the_other_folder(tmp_path, per_class, held_out, classes_in_val):
    source = FolderSource(imagenet_like(tmp_path, per_class), held_out=held_out)
    names = names_by_split(source)
    assert len(names["train"]) == 60 and not set(names["val"]) & set(names["test"])
    assert all(name.startswith("val/") for name in names["val"] + names["test"])
    assert np.bincount([item.label for item in source.items("val")]).tolist() == classes_in_val
    counts = [len(names[split]) for split in ("val", "test")]
    assert counts == [held_out] * 2 if held_out < 100 else sum(counts) == 9 and abs(counts[0] - counts[1]) == 1
    assert names == names_by_split(open_source("folder", **source.settings))
    (tmp_path / "test").mkdir()  # a third folder: its own splits again
    write(tmp_path, {"test/a/1.png": 5000})
    assert len(FolderSource(tmp_path, held_out=held_out).items("val")) == sum(per_class.values())


@pytest.mark.parametrize(("held_out", "val", "test"), [(4, 4, 4), (100, 6, 10)])
def test_imagenets_first_ten_thousand_validate_and_later_ones_test(tmp_path, held_out, val, test):
    """As the paper has it; here 6 of the first 10,000 and 10 later ones, in two classes by turns."""
    numbers = [1, 7, 500, 9_998, 9_999, 10_000, *range(10_001, 10_010), 50_000]
    files = {f"val/{'ab'[n % 2]}/ILSVRC2012_val_{n:08d}.JPEG": n for n in numbers}
    write(tmp_path, files | {f"train/{kind}/{place}.png": place for place, kind in enumerate("ab")})
    source = FolderSource(tmp_path, held_out=held_out)
    found = {
        split: [int(name[-13:-5]) for name in names]
        for split, names in names_by_split(source).items()
        if split != "train"
    }
    assert len(found["val"]) == val and max(found["val"]) <= 10_000
    assert len(found["test"]) == test and min(found["test"]) > 10_000
    assert np.bincount([item.label for item in source.items("test")]).tolist() == [test // 2] * 2
    early = write(
        tmp_path / "early", {f"val/a/ILSVRC2012_val_{n:08d}.JPEG": n for n in range(1, 9)} | {"train/a/1.png": 0}
    )
    assert [len(names) for names in names_by_split(FolderSource(early, held_out=9)).values()] == [1, 4, 4], (
        "none is later"
    )


def test_no_copy_is_held_out_twice_or_trained_on(tmp_path):
    imagenet_like(tmp_path, {"a": 10, "b": 10})
    write(tmp_path, {f"val/b/copy{number}.png": 1000 + number for number in range(8)})  # of class a's
    write(tmp_path, {f"train/c/copy{number}.png": 1000 + number for number in range(10)})
    source = FolderSource(tmp_path, held_out=5)
    names = names_by_split(source)
    contents = [(tmp_path / name).read_bytes() for split in ("val", "test") for name in names[split]]
    assert len(contents) == len(set(contents)) == 10
    assert not set(contents) & {(tmp_path / name).read_bytes() for name in names["train"]}
    assert source.duplicates == 8 + 70 - len(names["train"])
    assert len(FolderSource(tmp_path, held_out=5, find_duplicates=False).items("train")) == 70


def test_classes_are_first_subfolders_and_loose_photographs_have_none(tmp_path):
    names = [f"{folder}{number}.png" for folder in ("", "cat/", "dog/deep/") for number in range(40)]
    source = FolderSource(write(tmp_path, {name: index for index, name in enumerate(names)}))
    assert source.classes == ("cat", "dog")
    for item in source.items("train"):
        assert item.label == {"c": 0, "d": 1}.get(item.name[0], -1)
    assert FolderSource(write(tmp_path / "flat", {"1.png": 1})).classes == ()


def test_hidden_files_are_skipped_and_photographs_read(tmp_path):
    source = FolderSource(write(tmp_path, {"a.png": 1, ".b.png": 2, ".c/d.png": 3, "notes.txt": b"x"}))
    items = [Item(name) for names in source._names.values() for name in names]
    assert items == [Item("a.png")]
    assert source.read(items[0]).shape == (6, 8, 3)
    with pytest.raises(PhotoError, match="gone.png: cannot be opened"):
        source.read(Item("gone.png"))


def test_folder_errors_say_what_to_do(tmp_path):
    with pytest.raises(SourceError, match="not a folder"):
        FolderSource(tmp_path / "none")
    with pytest.raises(SourceError, match="no photographs in"):
        FolderSource(tmp_path)
    source = FolderSource(write(tmp_path, {"only.png": 1}))
    empty = next(split for split in SPLITS if not source._names[split])
    with pytest.raises(SourceError, match=f"{empty} split of .* is empty: 1 photographs .* hash"):
        source.items(empty)
    with pytest.raises(ValueError, match="train, val, test"):
        source.items("validation")
    given_folders = FolderSource(write(tmp_path / "given", {"train/1.png": 1, "val/note.txt": b"", "test/2.png": 2}))
    with pytest.raises(SourceError, match="val split .* its folders are train/, val/, test/"):
        given_folders.items("val")


# ---- bundled, by name ----


def test_bundled_photographs_need_no_network(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was tried"))
    source = BundledSource()
    names = [item.name for split in SPLITS for item in source.items(split)]
    assert len(set(names)) == len(names) == 8
    assert {split for split in SPLITS for item in source.items(split) if "motorcycle" in item.name} == {"train"}
    assert all(is_colorful(source.read(item)) for split in SPLITS for item in source.items(split))
    legacy = bundled_legacy()
    assert all(gray.dtype == np.uint8 and gray.ndim == 2 for _, gray in legacy)
    assert {*names, *dict(legacy)} == set(registry("bundled")["photographs"])


def test_registry_and_factory(tmp_path):
    assert set(registry()) == {"world", "bundled", "folder", "imagenette", "voc"}
    assert all(entry["licence"] for entry in registry().values())
    assert isinstance(open_source("bundled"), BundledSource)
    assert open_source("folder", root=write(tmp_path, {"a.png": 1})).root == tmp_path
    with pytest.raises(ValueError, match="no source 'imagenet'.*world, bundled, folder, imagenette"):
        open_source("imagenet")
    with pytest.raises(SourceError, match="no source 'x'"):
        registry("x")


# ---- Imagenette, from this machine ----


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """A function from a folder to the address of a server for it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    servers = []

    def start(folder):
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def small_imagenette(folder):
    """An archive of Imagenette's layout with 2 classes.  Returns its registry entry, address missing."""
    wnids = list(IMAGENETTE_CLASSES)[:2]
    files = {
        f"imagenette2-160/{split}/{wnid}/{number}.png": number + 100 * place + 1000 * (split == "val")
        for split in ("train", "val")
        for place, wnid in enumerate(wnids)
        for number in range(30)
    }
    write(folder / "tree", files)
    with tarfile.open(folder / "small.tgz", "w:gz") as tar:
        tar.add(folder / "tree/imagenette2-160", "imagenette2-160")
    return entry_for(folder / "small.tgz")


def entry_for(archive):
    return {"sha256": hashlib.sha256(archive.read_bytes()).hexdigest(), "folder": "imagenette2-160"}


def test_imagenette_is_fetched_once_and_behaves_like_a_folder(tmp_path, serve):
    served = tmp_path / "served"
    served.mkdir()
    entry = small_imagenette(served)
    entry["address"] = f"{serve(served)}/small.tgz"
    source = open_source("imagenette", root=tmp_path / "here", registry_entry=entry)
    assert source.classes == ("tench", "English springer")
    assert source.wnids == ("n01440764", "n02102040")
    assert len(source.items("test")) == 60 and len(source.items("train")) + len(source.items("val")) == 60
    assert {item.label for item in source.items("test")} == {0, 1}
    assert source.read(source.items("test")[0]).shape == (6, 8, 3)
    assert sorted(os.listdir(tmp_path / "here")) == ["imagenette2-160", "small.tgz"]
    shutil.rmtree(served)
    assert len(ImagenetteSource(tmp_path / "here", entry).items("test")) == 60  # not fetched again


def test_archive_put_there_by_hand_is_enough(tmp_path):
    entry = small_imagenette(tmp_path) | {"address": "http://127.0.0.1:9/small.tgz"}
    assert len(ImagenetteSource(tmp_path, entry).items("test")) == 60


def test_wrong_hash_and_refused_connection_are_one_clear_error(tmp_path, serve):
    served = tmp_path / "served"
    served.mkdir()
    entry = small_imagenette(served) | {"address": f"{serve(served)}/small.tgz"}
    here = tmp_path / "here"
    with pytest.raises(SourceError, match="is not the file it should be .* put it at .*small.tgz"):
        ImagenetteSource(here, entry | {"sha256": "0" * 64})
    with pytest.raises(SourceError, match="could not be fetched"):
        ImagenetteSource(here, entry | {"address": f"{serve(served)}/none.tgz"})
    with socket.socket() as free:  # a port where nobody listens
        free.bind(("127.0.0.1", 0))
        with pytest.raises(SourceError, match="could not be fetched .* put it at .*small.tgz"):
            ImagenetteSource(here, entry | {"address": f"http://127.0.0.1:{free.getsockname()[1]}/small.tgz"})
    assert os.listdir(here) == []


def bad_archive(path, kind):
    with tarfile.open(path, "w:gz") as tar:
        content = photo_bytes(1)
        second = "../../escaped.png" if kind == "escape" else "imagenette2-160/2.png"
        for name in ("imagenette2-160/train/a/1.png", second):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        if kind == "link":
            member = tarfile.TarInfo("imagenette2-160/link")
            member.type, member.linkname = tarfile.SYMTYPE, "/etc"
            tar.addfile(member)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:-60])
    if kind == "noise":
        path.write_bytes(b"no archive")


@pytest.mark.parametrize("kind", ["escape", "link", "cut", "noise"])
def test_malicious_or_broken_archive_leaves_nothing(tmp_path, kind):
    here = tmp_path / "deep" / "here"
    here.mkdir(parents=True)
    bad_archive(here / "bad.tgz", kind)
    entry = entry_for(here / "bad.tgz") | {"address": "http://127.0.0.1:9/bad.tgz"}
    with pytest.raises(SourceError, match="could not be unpacked"):
        ImagenetteSource(here, entry)
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "deep", here, here / "bad.tgz"]


# ---- prepared ----


class MadeSource(Source):
    """Photographs from memory: number % 7 == 3 is gray, number % 11 == 5 is broken; three classes, one of them rare."""

    name, classes = "made", ("a", "b", "c")

    def __init__(self, count=200):
        self.count = count

    def items(self, split):
        return [Item(f"{number:03d}", 2 if number % 20 == 0 else number % 2) for number in range(self.count)]

    def read(self, item):
        number = int(item.name)
        if number % 11 == 5:
            raise PhotoError(item.name, "broken on purpose")
        return np.full((20, 30, 3), number if number % 7 == 3 else (number, 0, 255 - number), dtype=np.uint8)


def test_prepare_keeps_colour_and_counts_the_rest(tmp_path):
    result = prepare(MadeSource(), "train", 16, destination=tmp_path)
    numbers = [int(name) for name in result.names]
    good = [number for number in range(200) if number % 7 != 3 and number % 11 != 5]
    assert sorted(numbers) == good
    assert result.photos.shape == (len(good), 16, 16, 3) and result.photos.dtype == np.uint8
    assert [int(photo[0, 0, 0]) for photo in result.photos] == numbers  # rows and names belong together
    assert result.labels.dtype == np.int64 and result.classes == ("a", "b", "c")
    assert result.labels.tolist() == [2 if number % 20 == 0 else number % 2 for number in numbers]
    report = result.report
    assert report["kept"] == len(good) and report["kept"] + report["gray"] + report["broken"] == 200
    assert len(report["rejected"]) == report["gray"] + report["broken"]
    assert {"name": "005", "reason": "broken on purpose"} in report["rejected"]
    assert sorted(os.listdir(tmp_path)) == ["train.json", "train.npy"]
    again = load_prepared(tmp_path, "train")
    assert again.names == result.names and isinstance(again.photos, np.memmap) and not again.photos.flags.writeable


def test_limit_takes_the_first_of_the_whole_spread_over_classes(tmp_path):
    whole = prepare(MadeSource(), "train", 8, destination=tmp_path / "whole")
    for limit in (1, 9, 70, 1000):
        part = prepare(MadeSource(), "train", 8, limit=limit, destination=tmp_path / str(limit))
        assert part.names == whole.names[:limit]
        assert np.array_equal(part.photos, whole.photos[:limit])
    nine = load_prepared(tmp_path / "9", "train")
    assert min(np.bincount(nine.labels, minlength=3)) >= 2
    assert list(whole.names[:50]) != sorted(whole.names[:50])


def test_prepare_does_not_depend_on_the_order_of_items(tmp_path):
    class Shuffled(MadeSource):
        def items(self, split):
            items = super().items(split)
            random.Random(1).shuffle(items)
            return items

    one, other = (prepare(kind(), "val", 8, 30, tmp_path / kind.__name__) for kind in (MadeSource, Shuffled))
    assert one.names == other.names


@pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError])
def test_interrupted_prepare_leaves_nothing_half_written(tmp_path, failure):
    class Interrupted(MadeSource):
        def read(self, item):
            if int(item.name) == 150:
                raise failure
            return super().read(item)

    with pytest.raises(failure):
        prepare(Interrupted(), "train", 8, destination=tmp_path)
    assert os.listdir(tmp_path) == []
    before = prepare(MadeSource(40), "train", 8, destination=tmp_path).names
    with pytest.raises(failure):
        prepare(Interrupted(), "train", 8, destination=tmp_path)
    assert load_prepared(tmp_path, "train").names == before  # the older one still stands


def test_bulk_sources_are_asked_for_all_at_once(tmp_path):
    class Painted(MadeSource):
        def bulk(self, split, size, limit):
            values = np.arange(limit * size * size * 3) % 256
            return values.reshape(limit, size, size, 3).astype(np.uint8), np.arange(limit) % 3

    result = prepare(Painted(), "test", 4, limit=6, destination=tmp_path)
    assert result.labels.tolist() == [0, 1, 2, 0, 1, 2] and len(result.names) == 6
    assert np.array_equal(result.photos, Painted().bulk("test", 4, 6)[0])
    with pytest.raises(SourceError, match="bulk must give uint8"):
        Painted.bulk = lambda self, split, size, limit: (np.zeros((3, 4, 4)), np.zeros(3))
        prepare(Painted(), "test", 4, limit=3, destination=tmp_path)


def test_prepare_errors_say_what_to_do(tmp_path, monkeypatch):
    class OnlyGray(MadeSource):
        def items(self, split):
            return [Item("003"), Item("010")]

    with pytest.raises(SourceError, match="none of the 2 photographs of made/val can be used: 2 are gray"):
        prepare(OnlyGray(), "val", 8, destination=tmp_path)
    with pytest.raises(ValueError, match="limit 0"):
        prepare(MadeSource(), "val", 8, limit=0, destination=tmp_path)
    with pytest.raises(FileNotFoundError, match="val.json does not exist; prepare the val split first"):
        load_prepared(tmp_path, "val")
    monkeypatch.setattr(prepared_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    with pytest.raises(SourceError, match=r"200 photographs of 64 x 64 need 2\.3 MiB .* MiB are free"):
        prepare(MadeSource(), "val", 64, destination=tmp_path)
    assert os.listdir(tmp_path) == []


def test_files_that_disagree_are_refused(tmp_path):
    prepare(MadeSource(30), "train", 8, destination=tmp_path)
    np.save(tmp_path / "train.npy", np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(SourceError, match="delete both"):
        load_prepared(tmp_path, "train")


def test_default_destination_and_a_folder_with_broken_photographs(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    files = {f"train/x/{number}.png": photo_bytes(number, gray=number % 4 == 0) for number in range(40)}
    files |= {"train/x/broken.jpg": b"noise", "train/x/empty.jpg": b"", "test/x/1.png": 300}
    source = FolderSource(write(tmp_path / "photos", files))
    result = prepare(source, "train", 8)
    assert sorted(os.listdir(tmp_path / "data/prepared/folder-8")) == ["train.json", "train.npy"]
    assert result.report["broken"] == 2 - sum("jpg" in item.name for item in source.items("val"))
    assert json.loads((tmp_path / "data/prepared/folder-8/train.json").read_text())["source"] == "folder"


def test_photographs_at_another_size_are_the_same_photographs(tmp_path, monkeypatch):
    """For classifiers and raters: read from their source once more, larger than training wants them."""
    monkeypatch.setattr(paths, "OUTPUTS", tmp_path / "outputs")
    monkeypatch.setattr(paths, "SCRATCH", tmp_path / "scratch")
    for number in range(12):
        rgb8 = np.random.default_rng(number).integers(0, 256, (5, 5, 3), dtype=np.uint8)
        folder = tmp_path / "photos" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgb8).resize((40, 40), Image.NEAREST).save(folder / f"{number}.png")
    source = open_source("folder", root=tmp_path / "photos")
    small = prepare(source, "train", 16, destination=tmp_path / "outputs/data")
    large = photographs_at(32, "train", limit=4, pipeline=True)
    assert large.photos.shape == (4, 32, 32, 3)
    assert large.names == small.names[:4] and large.labels.tolist() == small.labels[:4].tolist()
    same = photographs_at(16, "train", limit=4, pipeline=True)
    assert np.array_equal(same.photos, small.photos[:4]) and same.names == large.names


def test_painted_scenes_at_another_size_are_the_same_scenes(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "OUTPUTS", tmp_path / "outputs")
    monkeypatch.setattr(paths, "SCRATCH", tmp_path / "scratch")
    world = open_source("world", seed=3, train=8, val=2, test=2)
    small = prepare(world, "train", 32, destination=tmp_path / "outputs/data")
    large = photographs_at(64, "train", limit=5, pipeline=True)
    assert large.photos.shape == (5, 64, 64, 3) and large.labels.tolist() == small.labels[:5].tolist()
    shrunk = large.photos.reshape(5, 32, 2, 32, 2, 3).mean((2, 4))
    assert np.abs(shrunk - small.photos[:5]).mean() < 12

"""Packs: collections of photographs as small squares in zip files, and the trainings that start from them."""

import csv
import json
from zipfile import ZipFile

import numpy as np
import pytest
import yaml
from PIL import Image

from repro import paths
from repro.__main__ import main
from repro.colorizer.weights import read_header
from repro.datasets.folder import FolderSource, SourceError
from repro.datasets.packs import pack
from repro.datasets.sources import load_prepared
from repro.datasets.world import WorldSource
from repro.encoder import EfficientNetLite0
from repro.training.series import read_series


@pytest.fixture(scope="module")
def collections(tmp_path_factory):
    """Two collections: 60 scenes in folders of their own, 40 others as plain files; and what must be left out."""
    root = tmp_path_factory.mktemp("collections")
    scenes = WorldSource().bulk("train", size=64, limit=100)[0]
    for index, scene in enumerate(scenes):
        folder = root / ("one" if index < 60 else "two") / ("even" if index % 2 else "odd" if index < 60 else ".")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene).save(folder / f"{index:03d}.png")
    (root / "one" / "drawings").mkdir()
    Image.fromarray(scenes[0]).save(root / "one" / "drawings" / "x.png")
    Image.fromarray(scenes[61]).save(root / "one" / "copy of 061.png")
    Image.fromarray(np.repeat(scenes[5][..., :1], 3, 2)).save(root / "two" / "gray.png")
    (root / "two" / "broken.jpg").write_bytes(b"\xff\xd8\xff no photograph")
    return {"one": root / "one", "two": root / "two"}


def members(packs):
    return [name for path in packs for name in ZipFile(path).namelist()]


def test_every_photograph_is_packed_once_and_the_rest_is_counted(collections, tmp_path):
    packs, left_out = pack(collections, tmp_path, size=32, without=["drawings"])
    names = members(packs)
    assert dict(left_out) == {"copies": 1, "gray": 1, "broken": 1}
    assert len(names) == len(set(names)) == 100
    assert not any("drawings" in name or "gray" in name for name in names)
    with ZipFile(packs[0]) as archive, archive.open(names[-1]) as file:
        assert Image.open(file).format == "WEBP" and Image.open(file).size == (32, 32)


def test_what_is_held_back_comes_first_and_does_not_depend_on_the_company(collections, tmp_path):
    split_of = lambda names: {name.split("/", 1)[1]: name.split("/")[0] for name in names}
    together = members(pack(collections, tmp_path / "a", size=16)[0])
    alone = members(pack({"two": collections["two"]}, tmp_path / "b", size=16)[0])
    shared = split_of(alone).keys() & split_of(together).keys()  # all but one, which has a copy in the other
    assert len(shared) == len(alone) - 1
    assert all(split_of(alone)[name] == split_of(together)[name] for name in shared)
    held = [not name.startswith("train/") for name in together]
    assert 0 < sum(held) < 20 and held == sorted(held, reverse=True)


def test_packs_keep_to_their_size_and_lose_nothing(tmp_path):
    rng = np.random.default_rng(0)
    for index in range(120):  # noise does not compress
        noise = rng.integers(0, 256, (160, 160, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{index}.png")
    packs, _ = pack({"noise": tmp_path}, tmp_path / "out", size=160, mib=1, quality=100)
    assert len(packs) > 1 and len(members(packs)) == 120
    assert all(path.stat().st_size <= 2**20 for path in packs)
    assert [path.name for path in packs] == [f"pack-{number}.zip" for number in range(1, len(packs) + 1)]


def test_small_photographs_are_not_enlarged(collections, tmp_path):
    packs, _ = pack({"two": collections["two"]}, tmp_path, size=256)
    with ZipFile(packs[0]) as archive, archive.open(archive.namelist()[0]) as file:
        assert Image.open(file).size == (64, 64)


def test_packs_that_cannot_be_made(collections, tmp_path, capsys):
    with pytest.raises(SourceError, match="is not a folder; give NAME=FOLDER"):
        pack({"none": tmp_path / "none"}, tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="none of the photographs can be used"):
        pack({"empty": tmp_path / "empty"}, tmp_path / "out")
    for words, message in (
        (["nameless"], "expected NAME=FOLDER, got 'nameless'"),
        ([f"one={collections['one']}", "--size", "0"], "--size must be at least 1, got 0"),
        ([f"one={collections['one']}", "--quality", "101"], "--quality must be at most 100, got 101"),
    ):
        assert main(["pack", *words, "--out", str(tmp_path / "out")]) == 1
        assert message in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["pack", f"one={collections['one']}", "--out", str(tmp_path / "file")]) == 1
    assert "cannot write to" in capsys.readouterr().err


# ---- the whole way, as it is gone on a borrowed machine ----

QUICK = {"train.minutes": 0, "train.steps": 20, "train.batch": 4, "train.crop": 32, "train.validate_every": 10}


@pytest.mark.slow
def test_from_photographs_to_the_models_that_come_along(collections, tmp_path, monkeypatch, capsys):
    """Pack, unpack, prepare, train the five models of conf/pretrained.yaml for 20 steps each, in a fresh folder."""
    from safetensors.torch import save_file
    from test_encoder import in_the_releases_layout

    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    places = [f"{name}={folder}" for name, folder in collections.items()]
    assert main(["pack", *places, "--out", str(tmp_path / "packs"), "--size", "64", "--without", "drawings"]) == 0
    for path in (tmp_path / "packs").iterdir():
        ZipFile(path).extractall(tmp_path / "photos")
    source = FolderSource(tmp_path / "photos")
    assert source.classes == ("one", "two") and source.duplicates == 0
    command = ["data", "--source", "folder", "--folder", str(tmp_path / "photos"), "--size", "40"]
    assert main([*command, "--train", "0", "--val", "0", "--test", "0", "--out", str(tmp_path / "data")]) == 0
    assert len(load_prepared(tmp_path / "data", "train").photos) > 80

    save_file(in_the_releases_layout(EfficientNetLite0()), tmp_path / "lite0.safetensors")
    changes = QUICK | {"train.width": 0.06, "train.encoder": str(tmp_path / "lite0.safetensors")}
    command = ["train", "--series", str(paths.ROOT / "conf" / "pretrained.yaml"), "--accelerator", "cpu"]
    command += ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "models")]
    command += [word for name, value in changes.items() for word in ("--set", f"{name}={value}")]
    assert main(command) == 0
    printed = capsys.readouterr().out
    models = read_series(paths.ROOT / "conf" / "pretrained.yaml")
    for name, settings in models.items():
        header = read_header(tmp_path / "models" / f"{name}.safetensors")
        assert header["objective"] == settings["objective"]
        assert header["network"] == settings.get("train.network", "paper")
        assert str(tmp_path) not in json.dumps(header)
        rows = list(csv.DictReader((tmp_path / "models" / f"{name}.csv").open()))
        assert [int(row["step"]) for row in rows] == [10, 20]
    finished = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    assert {line["model"]: line["samples"] for line in finished} == dict.fromkeys(models, 80)
    assert not list((tmp_path / "runs").iterdir())

    assert main(command) == 0  # a second time nothing is left to do
    assert capsys.readouterr().out.count("there already") == len(models)


def test_a_file_that_is_no_series(tmp_path, capsys):
    path = tmp_path / "series.yaml"
    for content in ("models: 3", "[]", "common: {}"):
        path.write_text(content)
        with pytest.raises(ValueError, match="is no series: expected models"):
            read_series(path)
    path.write_text(yaml.safe_dump({"common": {"a.b": 1, "a.c": 2}, "models": {"x": {"a.c": 3}}}))
    assert read_series(path) == {"x": {"a.b": 1, "a.c": 3}}
    assert main(["train", "--series", str(path)]) == 1
    assert "--series needs --out" in capsys.readouterr().err

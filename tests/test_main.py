"""The command line, on real files."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from repro.__main__ import main
from repro.bins import ab_bins
from repro.colorizer.weights import save_weights
from repro.network import ColorizationNet
from repro.objectives import Objective


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, ColorizationNet(0.0625), Objective("classification", ab_bins()), short_side=32)
    return path


@pytest.fixture
def album(tmp_path):
    folder = tmp_path / "album"
    (folder / "1900s").mkdir(parents=True)
    gray = np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)
    Image.fromarray(gray).save(folder / "street.jpg")
    Image.fromarray(gray).save(folder / "1900s/street.png")
    (folder / "broken.jpg").write_bytes((folder / "street.jpg").read_bytes()[:300])
    return folder


def test_a_folder_with_a_broken_file(album, weights, tmp_path, capsys):
    code = main(["colorize", str(album), "--out", str(tmp_path / "out"), "--weights", str(weights)])
    printed = capsys.readouterr()
    assert code == 1
    assert sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*")) == [
        "1900s/street.png",
        "street.jpg",
    ]
    assert printed.err.count("\n") == 1 and "broken.jpg" in printed.err
    assert str(weights) in printed.out and "2 coloured, 1 skipped" in printed.out
    assert Image.open(tmp_path / "out/street.jpg").size == (60, 40)


def test_all_well_is_exit_code_0(album, weights, tmp_path):
    photo = str(album / "street.jpg")
    for decoding in ("annealed", "mean", "mode"):
        assert (
            main(
                [
                    "colorize",
                    photo,
                    "--out",
                    str(tmp_path / decoding),
                    "--weights",
                    str(weights),
                    "--decoding",
                    decoding,
                ]
            )
            == 0
        )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.jpg"], "nowhere.jpg"),
        (["PHOTO", "--temperature", "0"], "--decoding mode"),
        (["PHOTO", "--weights", "none.safetensors"], "no such weights file"),
        (["PHOTO", "--weights", "PHOTO"], "not a weights file"),
        (["EMPTY"], "no photographs"),
    ],
)
def test_one_clear_line_for_what_cannot_be_done(arguments, said, album, weights, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    names = {"PHOTO": str(album / "street.jpg"), "EMPTY": str(tmp_path / "empty")}
    arguments = [names.get(argument, argument) for argument in arguments]
    if "--weights" not in arguments:
        arguments += ["--weights", str(weights)]
    assert main(["colorize", *arguments, "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and "Traceback" not in error


def test_a_second_run_does_not_color_its_own_results(album, weights, tmp_path):
    for _ in range(2):
        main(["colorize", str(album), "--out", str(album / "coloured"), "--weights", str(weights)])
    assert len([path for path in (album / "coloured").rglob("*.*") if path.is_file()]) == 2


@pytest.mark.slow
def test_a_full_disk_stops_with_one_line(album, weights, tmp_path):
    """A real full disk: a file size limit of 0 makes every write fail."""
    colorize = f"{sys.executable} -m repro colorize {album / 'street.jpg'}"
    command = f"ulimit -f 0; exec {colorize} --out {tmp_path / 'out'} --weights {weights}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert not list((tmp_path / "out").glob("street*"))


def test_data_prepares_three_splits(tmp_path, capsys):
    assert (
        main(
            [
                "data",
                "--train",
                "6",
                "--val",
                "2",
                "--test",
                "2",
                "--size",
                "32",
                "--out",
                str(tmp_path / "data"),
            ]
        )
        == 0
    )
    assert np.load(tmp_path / "data/train.npy").shape == (6, 32, 32, 3)
    assert "train: 6 photographs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--source", "folder"], "--folder"),
        (["--source", "folder", "--folder", "/nowhere/at/all"], "nowhere"),
        (["--source", "clouds"], "world"),
        (["--train", "0"], "no end"),
    ],
)
def test_data_says_what_is_wrong(arguments, said, tmp_path, capsys):
    assert main(["data", *arguments, "--out", str(tmp_path / "data")]) == 1
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error

"""colorize --jobs: several processes give what one gives, in the same order, and die in one line."""

import os
import re
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from PIL import Image

from repro import paths
from repro.__main__ import main
from repro.bins import ab_bins
from repro.colorizer.results import original_of
from repro.colorizer.weights import save_weights
from repro.network import ColorizationNet
from repro.objectives import Objective

pytestmark = pytest.mark.slow  # each process loads torch first


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, ColorizationNet(0.03), Objective("classification", ab_bins()), short_side=16)
    return path


def photographs(folder, number, side=40):
    folder.mkdir(parents=True)
    for seed in range(number):
        pixels = np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{seed:02d}.png")
    return folder


def test_the_same_as_one_by_one(weights, tmp_path, capsys):
    """Order, names, what is passed over and skipped, and every pixel; and then there is nothing to do."""
    album = photographs(tmp_path / "album", 9)
    (album / "03 broken.jpg").write_bytes(b"no photograph")
    (album / "05.jpg").write_bytes((album / "05.png").read_bytes())
    printed = {}
    for jobs in (1, 3):
        command = ["colorize", str(album), "--out", str(tmp_path / "out"), "--weights", str(weights)]
        for again in range(2):
            assert main([*command, "--jobs", str(jobs)]) == 1, "one is broken"
            printed[jobs, again] = [re.sub(r"  \(\d+ s left\)", "", text) for text in capsys.readouterr()]
        (tmp_path / "out").rename(tmp_path / f"{jobs}")
    assert printed[1, 0] == printed[3, 0] and printed[1, 1] == printed[3, 1]
    assert "10 coloured, 1 skipped" in printed[3, 0][0] and "0 coloured, 10 there already" in printed[3, 1][0]
    assert re.fullmatch(r"skipped .*03 broken.jpg: .*\n", printed[3, 0][1])
    names = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert len(names) == 10 and names == sorted(path.name for path in (tmp_path / "3").iterdir())
    for name in names:
        one, other = (np.asarray(Image.open(tmp_path / jobs / name)).astype(int) for jobs in "13")
        assert np.abs(one - other).max() <= 1, name  # sums in another order


def colouring(album, out, weights):
    command = [sys.executable, "-m", "repro", "colorize", album, "--out", out, "--weights", weights, "--jobs", "2"]
    environment = os.environ | {"PYTHONPATH": str(paths.ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def workers_once_at_work(process, out, more_than):
    """The two processes, as soon as so many photographs are coloured."""
    until = time.monotonic() + 120
    while not out.is_dir() or len(list(out.glob("*.png"))) <= more_than:
        assert process.poll() is None and time.monotonic() < until, process.communicate()
        time.sleep(0.02)
    children = psutil.Process(process.pid).children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def test_killed_processes_lose_nothing(weights, tmp_path):
    """A killed one is told in a line; a killed command takes the others along; the same command then goes on."""
    album, out = photographs(tmp_path / "album", 24, side=1000), tmp_path / "out"
    process = colouring(album, out, weights)
    workers_once_at_work(process, out, 0)[0].kill()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1 and errors.count("\n") == 1
    assert "a process was killed" in errors and "goes on from there" in errors
    process = colouring(album, out, weights)
    workers = workers_once_at_work(process, out, len(list(out.glob("*.png"))))
    process.kill()
    process.communicate()
    assert len(workers) == 2 and not psutil.wait_procs(workers, timeout=60)[1]
    process = colouring(album, out, weights)
    printed, errors = process.communicate(timeout=240)
    assert process.returncode == 0 and not errors
    done, there = map(int, re.search(r"(\d+) coloured, (\d+) there already, 0 skipped", printed).groups())
    assert done + there == 24 and there >= 2
    assert all(original_of(out / f"{number:02d}.png") for number in range(24))


@pytest.mark.parametrize("jobs", ["0", "-2"])
def test_a_number_that_is_none(jobs, tmp_path, capsys):
    assert main(["colorize", str(tmp_path), "--out", str(tmp_path / "out"), "--jobs", jobs]) == 1
    assert capsys.readouterr().err == f"error: --jobs must be 1 or more, got {jobs}\n"

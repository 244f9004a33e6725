"""Nothing lost: runs that are interrupted, killed, cut off or short of disk go on as if nothing had been."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from test_training import TINY, goal, quiet, same_state, without_speed

from repro import paths
from repro.__main__ import main
from repro.colorizer.weights import read_header
from repro.datasets.world import WorldSource
from repro.training.checkpoints import CheckpointError, alone_in, checkpoints, save_state
from repro.training.loop import train

posix = pytest.mark.skipif(os.name != "posix", reason="needs signals")


@pytest.fixture(scope="module")
def finished(photos, held_out, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(photos, held_out, TINY, goal(), folder, quiet)


class Interrupted(Exception):
    pass


def interrupt_at(words):
    def report(line):
        if words in line:
            raise Interrupted

    return report


@pytest.mark.parametrize("stop", ["step 2:", "step 4:"])
def test_an_interrupted_run_continues_bit_for_bit(finished, photos, held_out, tmp_path, stop):
    """`stop` is reported after validation and before the checkpoint: what came since the last one is done again."""
    with pytest.raises(Interrupted):
        train(photos, held_out, TINY, goal(), tmp_path, interrupt_at(stop))
    lines = []
    result = train(photos, held_out, TINY, goal(), tmp_path, lines.append)
    assert ("continuing at step 2" if stop == "step 4:" else "starting") in lines[0]
    assert same_state(finished[0], tmp_path)
    assert without_speed(result.history) == without_speed(finished[1].history)
    best, expected = load_file(tmp_path / "best.safetensors"), load_file(finished[1].weights)
    assert all(torch.equal(best[name], expected[name]) for name in expected)


def test_checkpoints_between_validations_change_nothing(finished, photos, held_out, tmp_path):
    """One after every step, so the run continues in the middle of two validations.

    The mean loss of the row that follows counts the steps before, too.
    """
    with pytest.raises(Interrupted):
        train(photos, held_out, TINY, goal(), tmp_path, interrupt_at("step 4:"), checkpoint_every=1)
    lines = []
    result = train(photos, held_out, TINY, goal(), tmp_path, lines.append, checkpoint_every=1)
    assert "continuing at step 3" in lines[0]
    assert same_state(finished[0], tmp_path)
    assert without_speed(result.history) == without_speed(finished[1].history)


def test_the_running_average_and_the_grain_continue_too(photos, held_out, tmp_path):
    settings = replace(TINY, average=0.7, noise=3.0)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(photos, held_out, settings, goal(), whole, quiet)
    with pytest.raises(Interrupted):
        train(photos, held_out, settings, goal(), broken, interrupt_at("step 4:"), checkpoint_every=1)
    train(photos, held_out, settings, goal(), broken, quiet, checkpoint_every=1)
    assert same_state(whole, broken)
    best, expected = (load_file(folder / "best.safetensors") for folder in (broken, whole))
    assert all(torch.equal(best[name], expected[name]) for name in expected)


def test_the_last_few_checkpoints_are_kept(photos, held_out, tmp_path):
    (tmp_path / ".step-00000009.safetensors.77.part").write_bytes(b"of a killed writer")
    train(photos, held_out, TINY, goal(), tmp_path, quiet, checkpoint_every=1, keep=2)
    assert [path.name for path in checkpoints(tmp_path)] == [
        "step-00000006.safetensors",
        "step-00000005.safetensors",
    ]
    assert not list(tmp_path.glob(".*"))


def test_every_random_state_comes_back(photos, held_out, tmp_path):
    """The loop draws from no state, its batches are functions of seed and step; but what is built on it may."""
    train(photos, held_out, TINY, goal(), tmp_path, quiet)
    expected = torch.rand(3)
    torch.manual_seed(99)
    train(photos, held_out, TINY, goal(), tmp_path, quiet)
    assert torch.equal(torch.rand(3), expected)


def test_a_finished_run_is_not_repeated(finished, photos, held_out):
    folder, result = finished
    before = checkpoints(folder)[0].read_bytes()
    again = train(photos, held_out, TINY, goal(), folder, quiet)
    assert again.history == result.history and checkpoints(folder)[0].read_bytes() == before


# -- what is refused, what is passed over ----------------------------------------------------------------------------


def test_a_checkpoint_of_other_settings_is_refused(finished, photos, held_out):
    with pytest.raises(
        CheckpointError,
        match=r"of another run \(steps: 6 there, 8 here; schedule: '0:2e-3' there, '0:1e-3' here\); remove it",
    ):
        train(photos, held_out, replace(TINY, steps=8, schedule="0:1e-3"), goal(), finished[0], quiet)


def test_a_checkpoint_of_other_photographs_is_refused(finished, photos, held_out):
    for others in (photos[:20], photos[::-1]):
        with pytest.raises(CheckpointError, match="photos: '.*' there, '.*' here"):
            train(others, held_out, TINY, goal(), finished[0], quiet)


def copy(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("kept", [0, 5, 0.5, -1])
def test_a_truncated_checkpoint_gives_way_to_the_one_before(finished, photos, held_out, tmp_path, kept):
    """The newest one cut off: empty, a few bytes, half of it, all but the last byte."""
    folder = copy(finished, tmp_path)
    newest = checkpoints(folder)[0]
    content = newest.read_bytes()
    newest.write_bytes(content[: int(kept * len(content)) if kept == 0.5 else kept])
    lines = []
    train(photos, held_out, TINY, goal(), folder, lines.append)
    assert lines[0].startswith(f"passed over: {newest}: not a weights file of this project, or broken")
    assert "continuing at step 4" in lines[1]
    assert same_state(finished[0], folder)


def test_a_run_without_a_whole_checkpoint_is_not_begun_anew(photos, held_out, tmp_path):
    for step in (2, 4):
        (tmp_path / f"step-{step:08d}.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="none of the 2 checkpoints in .* is whole; remove the folder"):
        train(photos, held_out, TINY, goal(), tmp_path, quiet)


def test_weights_that_are_no_numbers_are_never_kept(finished, tmp_path, tiny_network):
    folder = copy(finished, tmp_path)
    network = tiny_network()
    optimizer = torch.optim.Adam(network.parameters())
    with torch.no_grad():
        network.layers["conv3_1"][0].weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(CheckpointError, match="not finite at step 7; the last good checkpoint is .*step-00000006"):
        save_state(folder, network, optimizer, goal(), 7, {})
    assert len(checkpoints(folder)) == 3


# -- a full disk -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for two checkpoints of TINY, and a half."""
    where = tmp_path / "disk"
    where.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2900k", "tmpfs", where]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this process may not mount a small file system to fill")
    yield where
    subprocess.run(["umount", "-l", where], check=True)


def test_a_full_disk_stops_with_a_clear_line_and_leaves_the_last_good_checkpoint(
    finished, photos, held_out, small_disk, tmp_path
):
    size = checkpoints(finished[0])[0].stat().st_size
    (small_disk / "ballast").write_bytes(bytes(2900 * 1024 - 2 * size - size // 2))
    folder = small_disk / "run"
    with pytest.raises(CheckpointError) as caught:
        train(photos, held_out, TINY, goal(), folder, quiet)
    message = str(caught.value)
    assert "could not be written to (No space left on device); the last good checkpoint is" in message
    assert message.endswith("Make room or mend the rights, and run the same command again: it continues from there.")
    assert checkpoints(folder) and not list(folder.glob(".*"))
    (small_disk / "ballast").unlink()
    train(photos, held_out, TINY, goal(), folder, quiet)
    assert same_state(finished[0], folder)


def test_a_folder_that_may_no_longer_be_written_to(finished, photos, held_out, small_disk):
    folder, lines = small_disk / "run", []

    def report(line):
        lines.append(line)
        if line.startswith("  step "):  # the first checkpoint is being written after this line's
            folder_is_full = len(checkpoints(folder)) == 1
            if folder_is_full:
                subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)

    with pytest.raises(CheckpointError) as caught:
        train(photos, held_out, TINY, goal(), folder, report)
    message = str(caught.value)
    assert "could not be written to (Read-only file system); the last good checkpoint is" in message
    assert "\n" not in message
    with pytest.raises(CheckpointError, match="Read-only"):
        train(photos, held_out, TINY, goal(), small_disk / "another", quiet)
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    train(photos, held_out, TINY, goal(), folder, quiet)
    assert same_state(finished[0], folder)


# -- two at once -----------------------------------------------------------------------------------------------------


def test_two_trainings_do_not_share_a_folder(photos, held_out, tmp_path):
    def report(line):
        if line.startswith("  step"):
            with pytest.raises(CheckpointError, match="another training is at work in .*run; wait until"):
                train(photos, held_out, TINY, goal(), tmp_path / "run", quiet)
            train(photos, held_out, TINY, goal(), tmp_path / "other", quiet)

    train(photos, held_out, TINY, goal(), tmp_path / "run", report)
    train(photos, held_out, TINY, goal(), tmp_path / "run", quiet)  # and it is free again
    assert same_state(tmp_path / "run", tmp_path / "other")


def test_a_killed_training_leaves_its_folder_free(tmp_path):
    script = f"""if 1:
        import time
        from pathlib import Path
        from repro.training.checkpoints import alone_in
        with alone_in(Path({str(tmp_path)!r})):
            print("in", flush=True)
            time.sleep(60)
    """
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=paths.ROOT)
    assert holder.stdout.readline() == "in\n"
    with pytest.raises(CheckpointError, match="another training"), alone_in(tmp_path):
        pass
    holder.kill()
    holder.wait()
    with alone_in(tmp_path):
        pass


# -- from the command line: kill -9, SIGTERM, ctrl-c -------------------------------------------------------------------

STEPS = 60


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A project folder for the command: prepared photographs and params.yaml."""
    from repro.datasets.sources import prepare

    root = tmp_path_factory.mktemp("project")
    source = WorldSource(train=24, val=8, test=1)
    for split in ("train", "val"):
        prepare(source, split, 32, destination=root / "outputs/data")
    params = yaml.safe_load((paths.ROOT / "params.yaml").read_text())
    params["train"] |= {
        "width": 0.03, "steps": STEPS, "batch": 4, "crop": 32, "schedule": "cosine 2e-3", "initialization": "he",
        "validate_every": 20, "precision": "32-true", "checkpoint_every": 7,
    }  # fmt: skip
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    return root


def command(root, folder):
    line = [sys.executable, "-m", "repro", "train", "--params", root / "params.yaml", "--folder", folder]
    return [*map(str, line), "--objective", "rebalanced", "--accelerator", "cpu"]


def started(root, folder):
    environment = os.environ | {"REPRO_OUTPUTS": str(root / "outputs"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command(root, folder),
        cwd=paths.ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def uninterrupted(prepared):
    process = started(prepared, prepared / "whole")
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert output.splitlines()[-1].startswith(f"finished: {prepared / 'whole' / 'best.safetensors'}")
    return prepared / "whole"


@pytest.mark.slow
@posix
def test_killed_at_any_moment_it_continues_bit_for_bit(prepared, uninterrupted, kills=4, seed=0):
    """kill -9 at random moments, also while a checkpoint is being written; then the same command to the end."""
    folder, rng, begun = prepared / "killed", random.Random(seed), []
    for _ in range(kills):
        process = started(prepared, folder)
        begun.append(process.stdout.readline())
        time.sleep(rng.uniform(0, 1))
        process.kill()
        process.communicate()
    process = started(prepared, folder)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    print(begun, output.splitlines()[0])
    assert same_state(uninterrupted, folder)
    history = [read_header(checkpoints(run)[0])["history"] for run in (uninterrupted, folder)]
    assert without_speed(history[0]) == without_speed(history[1])
    best, expected = (load_file(run / "best.safetensors") for run in (folder, uninterrupted))
    assert all(torch.equal(best[name], expected[name]) for name in expected)


@pytest.mark.slow
@posix
@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_saves_first(kind, prepared, uninterrupted):
    folder = prepared / kind.name
    process = started(prepared, folder)
    assert "starting" in process.stdout.readline()
    process.send_signal(kind)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 143 and "the same run continues from" in errors, errors
    stopped = int(errors.split("after step ")[1].split(";")[0])
    assert read_header(checkpoints(folder)[0])["step"] == stopped < STEPS
    process = started(prepared, folder)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0 and f"continuing at step {stopped}" in output, errors
    assert same_state(uninterrupted, folder)


def run_main(prepared, monkeypatch, *arguments):
    monkeypatch.setattr(paths, "OUTPUTS", prepared / "outputs")
    monkeypatch.setattr(paths, "RUNS", prepared / "runs")
    return main(["train", "--params", str(prepared / "params.yaml"), "--accelerator", "cpu", *arguments])


def test_the_command_finds_its_run_by_itself_and_takes_changes(prepared, monkeypatch, capsys):
    arguments = "--objective", "regression", "--set", "train.steps=2", "--set", "train.schedule=0:1e-3"
    assert run_main(prepared, monkeypatch, *arguments) == 0
    assert "regression: starting, 2 steps of 4 crops of 32 px" in capsys.readouterr().out
    assert run_main(prepared, monkeypatch, *arguments) == 0
    assert "continuing at step 2" in capsys.readouterr().out
    (folder,) = (prepared / "runs").iterdir()
    assert read_header(folder / "best.safetensors")["settings"]["schedule"] == "0:1e-3"


@pytest.mark.slow
def test_the_prior_is_made_where_there_is_none(prepared, uninterrupted):
    """By the command, from the training photographs' colours, as page 01 does."""
    prior = np.load(prepared / "outputs/prior.npz")
    assert set(prior) == {"prior", "smoothed", "weights"}
    assert prior["prior"].sum() == pytest.approx(1) and (prior["prior"] * 24 * 64 % 1 < 1e-9).sum() > 300


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--set", "train.pace=3"], "there is no setting train.pace; did you mean train"),
        (["--set", "steps"], "a change is SECTION.NAME=VALUE, got 'steps'"),
        (["--set", "train.width=abc"], "train.width must be a positive number, got 'abc'"),
        (["--set", "train.batch=0"], "train.batch must be a whole number, at least 1, got 0"),
        (["--set", "train.accumulate=3"], "train.accumulate must divide the batch of 4, got 3"),
        (["--set", "train.growing=64:2"], "train.growing must be 'PIXELS:SHARE ...'"),
        (["--set", "train.schedule=fast"], "train.schedule: a schedule is 'cosine RATE' or"),
        (["--set", "train.precision=16"], "train.precision must be one of auto, bf16-mixed, 32-true, got 16"),
        (["--set", "train.checkpoint_every=0"], "train.checkpoint_every must be a whole number, at least 1, got 0"),
        (["--set", "train.encoder=[a"], "is not YAML"),
        (["--keep", "0"], "--keep must be at least 1, got 0"),
        (["--data", "nowhere"], "nowhere.train.json does not exist"),
        (["--params", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(prepared, monkeypatch, capsys, arguments, message):
    assert run_main(prepared, monkeypatch, *arguments) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("error: ") and errors.count("\n") == 1
    import re

    assert re.search(message, errors), errors


# -- from shards -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """24 painted scenes of 40 x 32 pixels in shards of 4, one of their records overwritten."""
    from PIL import Image

    from repro.datasets.shards import write_shards
    from repro.datasets.stream import open_shards

    root = tmp_path_factory.mktemp("shards")
    for split, count in (("train", 24), ("test", 4), ("val", 4)):
        for number, scene in enumerate(WorldSource().bulk(split, 40, count)[0]):
            file = root / "photographs" / split / "scene" / f"{number:02d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(scene[:32]).save(file)
    write_shards(root / "photographs", root / "out", short_side=32, per_shard=4, workers=1)
    first = root / "out/train-000000.tar"
    content = bytearray(first.read_bytes())
    start = content.index(b"\xff\xd8\xff")
    content[start : start + 200] = bytes(200)
    first.write_bytes(content)
    return open_shards(root / "out")


@pytest.mark.slow
def test_a_run_on_shards_continues_bit_for_bit(shards, held_out, tmp_path):
    lines = []
    whole = train(shards, held_out, TINY, goal(), tmp_path / "whole", lines.append)
    assert "from 24 photographs" in lines[0]
    assert any("broken photographs passed over so far" in line for line in lines), lines
    with pytest.raises(Interrupted):
        train(shards, held_out, TINY, goal(), tmp_path / "run", interrupt_at("step 4:"), checkpoint_every=1)
    lines = []
    result = train(shards, held_out, TINY, goal(), tmp_path / "run", lines.append, checkpoint_every=1)
    assert "continuing at step 3" in lines[0]
    assert without_speed(result.history) == without_speed(whole.history)
    one, other = (load_file(checkpoints(tmp_path / name)[0]) for name in ("whole", "run"))
    same = [name for name in one if name != "random.torch"]  # the loader draws a seed from it
    assert all(torch.equal(one[name], other[name]) for name in same)


def test_a_run_on_shards_is_no_run_on_others(shards, held_out, photos, tmp_path):
    train(shards, held_out, TINY, goal(), tmp_path, quiet)
    with pytest.raises(CheckpointError, match="photos: '.*' there, '.*' here"):
        train(photos, held_out, TINY, goal(), tmp_path, quiet)


def test_the_command_trains_on_shards_with_the_prior_of_them_all(shards, prepared, tmp_path, monkeypatch, capsys):
    data = [
        "data",
        "--source",
        "shards",
        "--folder",
        shards.location,
        "--size",
        "32",
        "--train",
        "5",
        "--val",
        "0",
    ]
    assert main([*data, "--test", "0", "--out", str(tmp_path / "data")]) == 0
    arguments = (
        "--data",
        str(tmp_path / "data"),
        "--prior",
        str(tmp_path / "prior.npz"),
        "--set",
        "train.steps=2",
    )
    assert run_main(prepared, monkeypatch, *arguments) == 0
    assert "rebalanced: starting, 2 steps of 4 crops of 32 px from 24 photographs" in capsys.readouterr().out
    counted = np.load(tmp_path / "prior.npz")["prior"] * 23 * 64  # one of 24 records is broken
    assert np.allclose(counted, counted.round(), atol=1e-6)

"""Many processes: two under torchrun, with gloo, make the same step as one with the joint batch."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from test_training import goal

from repro import paths
from repro.colorizer.weights import read_header
from repro.training import processes
from repro.training.batches import PhotoFeed, cut
from repro.training.loop import train
from repro.training.settings import TrainingSettings

SETTINGS = TrainingSettings(
    "rebalanced", width=0.03, steps=40, batch=8, crop=32, schedule="cosine 2e-3", initialization="he",
    validate_every=20, precision="32-true",
)  # fmt: skip


# -- what each process reads -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", [2, 4])
def test_the_processes_parts_are_the_joint_batch(photos, world):
    cpu = torch.device("cpu")
    for step in (0, 5):
        whole = cut(*PhotoFeed(photos, SETTINGS, cpu).batch(step, 32), 32)
        parts = [cut(*PhotoFeed(photos, SETTINGS, cpu, rank, world).batch(step, 32), 32) for rank in range(world)]
        assert np.array_equal(np.concatenate(parts), whole)


# -- two of them -----------------------------------------------------------------------------------------------------

WORK = """
import json, os, sys
sys.path.insert(0, "tests")
import numpy, torch
torch.set_num_threads(1)
from pathlib import Path
from torch import nn
from test_processes import SETTINGS
from test_training import goal
from repro.training import loop
from repro.training.processes import open_fabric

task, folder = sys.argv[1], Path(sys.argv[2])
photos, held_out = (numpy.load(folder / name) for name in ("photos.npy", "held_out.npy"))
fabric = open_fabric("cpu")

def without_statistics(network):
    for layer in network.layers.values():
        if len(layer) == 3:
            layer[2] = nn.Identity()
    return network

if task == "gradients":
    build = loop.build_network
    loop.build_network = lambda *arguments, **options: without_statistics(build(*arguments, **options))
    run = loop.Run(photos, held_out, SETTINGS, goal(SETTINGS), folder / "none", print, 1, fabric)
    run.optimizer.zero_grad = lambda set_to_none: None
    loss = run.step(0, run.settings.crop)
    gradients = {name: value.grad for name, value in run.network.named_parameters()}
    torch.save(gradients, folder / f"gradients-{fabric.world_size}-{fabric.global_rank}.pt")
elif task == "lost":
    from dataclasses import replace
    (folder / f"process-{fabric.global_rank}").write_text(str(os.getpid()))
    settings = replace(SETTINGS, steps=10**6)
    try:
        loop.train(photos, held_out, settings, goal(settings), folder / "lost", fabric=fabric)
    except loop.TrainingStopped as error:
        print("STOPPED", error, flush=True)
        sys.exit(3)
else:
    result = loop.train(photos, held_out, SETTINGS, goal(SETTINGS), folder / "run", fabric=fabric)
    (folder / f"history-{fabric.global_rank}.json").write_text(json.dumps(result.history))
"""


def launched(count, task, folder):
    """Run the task in `count` processes."""
    (folder / "work.py").write_text(WORK)
    start = [sys.executable]
    if count > 1:
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(paths.ROOT)}
    run = subprocess.run(
        [*start, str(folder / "work.py"), task, str(folder)],
        cwd=paths.ROOT, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.fixture
def folder(photos, held_out, tmp_path):
    np.save(tmp_path / "photos.npy", photos)
    np.save(tmp_path / "held_out.npy", held_out)
    return tmp_path


@pytest.mark.slow
def test_gradients_equal_those_of_one_process_with_the_joint_batch(folder):
    """To 1e-5 of the largest, on a network without batch statistics; and both processes hold the same."""
    for count in (1, 2):
        launched(count, "gradients", folder)
    alone, first, second = (torch.load(folder / f"gradients-{of}.pt") for of in ("1-0", "2-0", "2-1"))
    assert alone.keys() == first.keys() and len(alone) == 46  # 23 convolutions
    largest = max(float(value.abs().max()) for value in alone.values())
    for name, value in alone.items():
        assert torch.equal(first[name], second[name]), name
        assert float((first[name] - value).abs().max()) < 1e-5 * largest, name
    assert largest > 1e-3


@pytest.mark.slow
def test_loss_curves_agree_and_the_first_process_alone_writes(folder, photos, held_out):
    """With batch statistics, which each process takes of its own half: within 3 %."""
    output = launched(2, "train", folder)
    assert output.count("rebalanced: starting") == 1 and ", 2 processes" in output
    histories = [json.loads((folder / f"history-{rank}.json").read_text()) for rank in range(2)]
    alone = train(photos, held_out, SETTINGS, goal(SETTINGS), folder / "alone", lambda line: None).history
    for both, one in zip(histories[0], alone, strict=True):
        for name in ("validation_loss", "auc", "auc_rebalanced"):
            assert both[name] == pytest.approx(one[name], rel=0.03), name
    same = ("validation_loss", "auc", "auc_rebalanced", "step")
    for one, other in zip(*histories, strict=True):
        assert [one[name] for name in same] == [other[name] for name in same], "validation is reduced"
    (newest,) = [max((folder / "run").glob("step-*"))]
    assert read_header(newest)["processes"] == 2

    lines = []
    settings = SETTINGS
    train(photos, held_out, settings, goal(settings), folder / "run", lines.append)
    assert lines[0] == "the checkpoint is of 2 processes, here are 1: not bit for bit the same run"


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_where_one_process_is_lost_the_other_ends_with_a_line(folder, how):
    """Killed, it is noticed at once; frozen, after PATIENCE."""
    shorter = "from datetime import timedelta\nfrom repro.training import processes\n"
    shorter += "processes.PATIENCE = timedelta(seconds=4)\n"
    (folder / "work.py").write_text(WORK.replace("task, folder =", shorter + "task, folder ="))
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(paths.ROOT)}
    run = subprocess.Popen(
        [*start, str(folder / "work.py"), "lost", str(folder)],
        cwd=paths.ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        end = time.monotonic() + 300
        while not list((folder / "lost").glob("step-*")):
            assert run.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        lost = int((folder / "process-1").read_text())
        os.kill(lost, how)
        began = time.monotonic()
        output, _ = run.communicate(timeout=200)
    finally:
        run.kill()
    assert time.monotonic() - began < 150 and run.returncode
    (line,) = [line for line in output.splitlines() if line.startswith("STOPPED")]
    assert "process 0 of 2 stops, as another one ended or does not answer; the last good checkpoint is" in line


# -- precision -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("speedup, expected", [(0.6, "32-true"), (1.05, "32-true"), (1.6, "bf16-mixed")])
def test_bfloat16_is_taken_where_it_is_measurably_faster(monkeypatch, speedup, expected):
    """Some processors have its instructions and are slower with them."""
    monkeypatch.setattr(processes, "bfloat16_speedup", lambda: speedup)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    fabric = processes.open_fabric("cpu")
    assert processes.fastest_precision("auto", fabric) == expected
    assert processes.fastest_precision("32-true", fabric) == "32-true"


def test_the_speed_of_bfloat16_is_measured():
    assert 0.01 < processes.bfloat16_speedup(1) < 100


def test_a_run_keeps_the_precision_it_began_with(photos, held_out, tmp_path, monkeypatch):
    from dataclasses import replace

    from repro.training import loop

    settings = replace(SETTINGS, steps=2, precision="auto")
    for found, said in (("bf16-mixed", "bf16-mixed"), ("32-true", "bf16-mixed")):
        monkeypatch.setattr(loop, "fastest_precision", lambda precision, fabric, found=found: found)
        lines = []
        train(photos, held_out, settings, goal(settings), tmp_path, lines.append)
        assert f", {said} on cpu" in lines[0]

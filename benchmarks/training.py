"""A training step as the loop takes it, and one process beside two.

Beside the step stands the bare network's forward and backward pass on the same shapes.
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.measure import Figure, best_seconds
from repro.bins import ab_bins
from repro.datasets.world import WorldSource
from repro.examples import STRIDE
from repro.network import ColorizationNet
from repro.objectives import NAMES, Objective
from repro.paths import ROOT
from repro.training.loop import Run
from repro.training.processes import autocast, fastest_precision, open_fabric
from repro.training.settings import TrainingSettings

WIDTH, BATCH = 0.25, 32


def run(small=False):
    figures = []
    for crop, names in ((16, NAMES[-1:]),) if small else ((64, NAMES), (88, NAMES[-1:])):
        for name in names:
            figures.append(step_beside_network(crop, name, *((2, 1, 1) if small else (BATCH, 5, 9))))
    return [*figures, two_processes_beside_one(*((16, 2, 1, 1) if small else (64, BATCH, 20, 2)))]


def settings_for(crop, name, batch):
    return TrainingSettings(name, width=WIDTH, batch=batch, crop=crop, initialization="he")


def new_run(settings, fabric):
    """A Run on painted scenes."""
    bins, name, size = ab_bins(), settings.objective, settings.crop + settings.crop // 8
    photos = WorldSource().bulk("train", size, 1000 if size > 20 else 64)[0]
    objective = Objective(name, bins, torch.ones(len(bins)) if name == "rebalanced" else None)
    with tempfile.TemporaryDirectory() as folder:
        return Run(photos, photos[:8], settings, objective, Path(folder), lambda line: None, 1, fabric)


def step_beside_network(crop, name, batch, steps, rounds):
    """Figure of one objective: `steps` steps a round, seconds of one."""
    fabric = open_fabric("cpu")
    settings = settings_for(crop, name, batch)
    settings = replace(settings, precision=fastest_precision("auto", fabric))
    ours, taken = new_run(settings, fabric), iter(range(10**9))

    def loop():
        for _ in range(steps):
            step = next(taken)
            ours.progress.add(step, ours.step(step, ours.settings.crop), 0.0, 0.5)

    network_alone = bare_network(settings, ours.objective.outputs, fabric.device)
    seconds = best_seconds({"ours": loop, "bare": lambda: [network_alone() for _ in range(steps)]}, rounds)
    return Figure(
        f"step, {name}, {batch} x {crop} px, width {WIDTH:g}, {settings.precision}",
        "network's forward and backward",
        seconds["ours"] / steps,
        seconds["bare"] / steps,
        reading="share",
        goal="92 %",
        notes={"photographs_per_second": batch * steps / seconds["ours"]},
    )


def bare_network(settings, outputs, device):
    """A function: one forward and backward pass of the network alone, on data that lie ready."""
    network = ColorizationNet(settings.width, outputs).to(device, memory_format=torch.channels_last)
    shape = settings.batch, outputs, settings.crop // STRIDE, settings.crop // STRIDE
    lightness = 100 * torch.rand(settings.batch, 1, settings.crop, settings.crop, device=device)
    lightness = lightness.contiguous(memory_format=torch.channels_last)
    gradient = torch.randn(shape, device=device).contiguous(memory_format=torch.channels_last)
    gradient = gradient.bfloat16() if settings.precision == "bf16-mixed" else gradient

    def work():
        with autocast(settings.precision, device):
            output = network(lightness)
        output.backward(gradient)
        network.zero_grad(set_to_none=True)

    return work


def two_processes_beside_one(crop, batch, steps, rounds):
    """Seconds of a step: one process with two threads, and two of one thread that share the batch."""
    seconds = {count: min(measured(count, crop, batch, steps) for _ in range(rounds)) for count in (2, 1)}
    return Figure(
        f"step of two processes, {batch} x {crop} px",
        "one process of two threads",
        seconds[2],
        seconds[1],
        reading="plain",
    )


def measured(count, crop, batch, steps):
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    command = [sys.executable, *start, "-m", "benchmarks.training", str(crop), str(batch), str(steps)]
    environment = os.environ | {"OMP_NUM_THREADS": str(2 // count)}
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if finished.returncode:
        raise RuntimeError(finished.stderr)
    return float(finished.stdout.split()[-1])


def _worker(crop, batch, steps):
    """Under torchrun: print the seconds of one step, the median."""
    import time

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    fabric = open_fabric("cpu")
    ours, seconds = new_run(settings_for(crop, "rebalanced", batch), fabric), []
    for step in range(steps + 1):
        began = time.perf_counter()
        ours.step(step, ours.settings.crop)
        seconds.append(time.perf_counter() - began)
    if fabric.global_rank == 0:
        print(float(np.median(seconds[1:])))


if __name__ == "__main__":
    _worker(*map(int, sys.argv[1:]))

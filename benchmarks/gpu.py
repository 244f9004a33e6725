"""What training reaches on a GPU, at the paper's size; nothing is measured without one.

The share of its matrix rate, a step's time by part, photographs a second from shards, and the hours of the paper's
schedule that follow.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.measure import Figure
from benchmarks.photographs import write_jpegs
from benchmarks.training import bare_network, new_run
from repro.datasets.manifest import open_shards
from repro.datasets.shards import write_shards
from repro.training.batches import ShardFeed
from repro.training.plan import PAPER_SAMPLES, layer_flops, matrix_rate
from repro.training.processes import open_fabric
from repro.training.settings import TrainingSettings

BATCH = 160  # photographs a step: enough to fill a GPU; the paper's 40 are measured, too


def run(small=False):
    if not torch.cuda.is_available():
        print("  no GPU here: nothing to measure")
        return []
    fabric = open_fabric("cuda")
    peak = matrix_rate("cuda", "bf16-mixed")
    settings = TrainingSettings(initialization="he", precision="bf16-mixed", compiled=not small)
    cases = [(176, 40), (176, BATCH), (256, BATCH)]
    figures = [share_of_peak(replace(settings, crop=crop, batch=batch), fabric, peak) for crop, batch in cases]
    return [
        *figures,
        *parts(replace(settings, batch=BATCH), fabric),
        from_shards(replace(settings, batch=BATCH), fabric),
    ]


def device_seconds(work, rounds=20, warm=5):
    """Seconds of one call, by the GPU's own clock."""
    for _ in range(warm):
        work()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(rounds):
        work()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1000 / rounds


def share_of_peak(settings, fabric, peak):
    """Seconds of a whole step, beside those its FLOPs would take at the measured matrix rate."""
    run, steps = new_run(settings, fabric), iter(range(10**9))
    torch.cuda.reset_peak_memory_stats()
    seconds = device_seconds(lambda: run.step(next(steps), settings.crop))
    flops = settings.batch * sum(layer_flops(crop=settings.crop).values())
    rate = settings.batch / seconds
    return Figure(
        f"step at width 1, {settings.batch} x {settings.crop} px",
        "its FLOPs at the matrix rate",
        seconds,
        flops / peak,
        reading="share",
        goal="40 %",
        notes={
            "matrix_tflops": peak / 1e12,
            "photographs_per_second": rate,
            "hours_of_the_papers_schedule": PAPER_SAMPLES / rate / 3600,
            "peak_memory_gib": torch.cuda.max_memory_allocated() / 2**30,
        },
    )


def parts(settings, fabric):
    """A step's parts beside the whole: the input on the device, the bare network, the rest (loss and Adam)."""
    run, steps = new_run(settings, fabric), iter(range(10**9))
    whole = device_seconds(lambda: run.step(next(steps), settings.crop))
    example = device_seconds(lambda: run.example(*run.batch(next(steps), settings.crop)))
    network = device_seconds(bare_network(settings, 313, fabric.device))
    named = {"crop, Lab and soft encoding": example, "network, forward and backward": network}
    named["loss and Adam, by difference"] = max(1e-9, whole - example - network)
    return [
        Figure(f"of a step: {name}", "the whole step", part, whole, reading="plain") for name, part in named.items()
    ]


def from_shards(settings, fabric):
    """A step fed from shards by worker processes, beside one whose photographs lie on the device."""
    run, steps = new_run(settings, fabric), iter(range(10**9))
    resident = device_seconds(lambda: run.step(next(steps), settings.crop))
    with tempfile.TemporaryDirectory() as folder:
        photographs = Path(folder, "photographs")
        photographs.mkdir()
        write_jpegs(photographs, 2000, 296)
        write_shards(photographs, Path(folder, "shards"), per_shard=50)
        run.feed = ShardFeed(open_shards(Path(folder, "shards")), 256, settings, fabric.device, workers=14)
        steps = iter(range(10**9))
        fed = device_seconds(lambda: run.step(next(steps), settings.crop))
    return Figure(
        f"step fed from shards, {settings.batch} x {settings.crop} px",
        "photographs on the device",
        fed,
        resident,
        reading="share",
        notes={"photographs_per_second": settings.batch / fed},
    )

"""A training step as the loop takes it, beside the bare network's forward and backward pass on the same
shapes."""

import torch
from lightning_fabric import Fabric

from benchmarks.measure import Figure, best_seconds
from repro.bins import ab_bins
from repro.datasets.world import WorldSource
from repro.network import ColorizationNet
from repro.objectives import NAMES, Objective
from repro.training.batches import training_crops
from repro.training.loop import adam, best_precision, training_step
from repro.training.settings import TrainingSettings

WIDTH, BATCH = 0.25, 32


def run(small=False):
    figures = []
    for crop, names in ((16, NAMES[-1:]),) if small else ((64, NAMES), (88, NAMES[-1:])):
        photos = WorldSource().bulk("train", crop + crop // 8, 64 if small else 1000)[0]
        for name in names:
            figures.append(step_beside_network(photos, crop, name, *((2, 1, 1) if small else (BATCH, 5, 9))))
    return figures


def step_beside_network(photos, crop, name, batch, steps, rounds):
    """Figure of one objective: `steps` steps a round, seconds of one."""
    settings = TrainingSettings(objective=name, width=WIDTH, batch=batch, crop=crop)
    bins = ab_bins()
    objective = Objective(name, bins, torch.ones(len(bins)) if name == "rebalanced" else None)
    precision = best_precision("cpu")
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    new_network = lambda: ColorizationNet(WIDTH, objective.outputs).to(memory_format=torch.channels_last)
    network = new_network()
    model, optimizer = fabric.setup(network, adam(network, settings))
    bare, bfloat16 = new_network(), precision == "bf16-mixed"
    lightness = (100 * torch.rand(batch, 1, crop, crop)).contiguous(memory_format=torch.channels_last)
    gradient = torch.randn(batch, objective.outputs, crop // 4, crop // 4).contiguous(
        memory_format=torch.channels_last
    )
    gradient = gradient.bfloat16() if bfloat16 else gradient
    taken = iter(range(10**9))

    def loop():
        for _ in range(steps):
            training_step(
                fabric, model, optimizer, objective, training_crops(photos, batch, crop, 0, next(taken))
            )

    def network_alone():
        for _ in range(steps):
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                output = bare(lightness)
            output.backward(gradient)
            bare.zero_grad(set_to_none=True)

    seconds = best_seconds({"ours": loop, "bare": network_alone}, rounds)
    return Figure(
        f"step, {name}, {batch} x {crop} px, width {WIDTH:g}",
        "network's forward and backward",
        seconds["ours"] / steps,
        seconds["bare"] / steps,
        reading="overhead",
        goal="+15 %",
        notes={"photographs_per_second": batch * steps / seconds["ours"]},
    )

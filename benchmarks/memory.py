"""The memory of the loss and of a training step.

The loss on soft-encoded targets, kept as indices and weights, stands beside dense (N, Q, h, w) distributions; a step's
memory stands against its batch.
"""

from dataclasses import replace

import torch

from benchmarks.measure import Figure, best_seconds, peak_growth
from benchmarks.photographs import colours
from benchmarks.training import new_run, settings_for
from repro.bins import ab_bins
from repro.encoding import densify, soft_encode
from repro.objectives import Objective
from repro.training.processes import open_fabric

BATCH, SIDE = 40, 44  # the paper's batch; outputs of a crop of 176 pixels


def run(small=False):
    batch, side = (2, 8) if small else (BATCH, SIDE)
    indices, weights = soft_encode(true_ab(batch, side), ab_bins())
    dense = densify(indices, weights, 313)
    sizes = {"ours": indices.nbytes + weights.nbytes, "dense": dense.nbytes}
    del indices, weights, dense
    peak = {task: peak_growth(f"benchmarks.memory:{task}", batch, side) for task in ("sparse_loss", "dense_loss")}
    seconds = best_seconds({"ours": sparse_loss(batch, side), "dense": dense_loss(batch, side)}, 1 if small else 3)
    shape, peer = f"{batch} x {side} x {side}", "dense distributions"
    return [
        Figure(f"targets, {shape}", peer, sizes["ours"], sizes["dense"], "bytes", "smaller", goal="10 x"),
        Figure(
            f"targets and loss, {shape}, peak memory",
            peer,
            max(1, peak["sparse_loss"]),
            peak["dense_loss"],
            "bytes",
            "smaller",
        ),
        Figure(f"targets and loss, {shape}", peer, seconds["ours"], seconds["dense"]),
        *steps_against_batch(*((16, (2, 4)) if small else (64, (16, 32, 64)))),
    ]


def steps_against_batch(crop, batches):
    """Peak memory of a training step: each batch beside the smallest, and the largest in parts of its size."""
    first, last = batches[0], batches[-1]
    peak = {case: peak_growth("benchmarks.memory:step", crop, *case) for case in [(b, 1) for b in batches]}
    parts = peak_growth("benchmarks.memory:step", crop, last, last // first)
    name = lambda batch: f"peak memory of a step, {batch} x {crop} px"
    return [
        *(
            Figure(name(batch), f"batch of {first}", peak[batch, 1], peak[first, 1], "bytes", "plain")
            for batch in batches[1:]
        ),
        Figure(
            f"{name(last)} in {last // first} parts",
            f"batch of {first}",
            parts,
            peak[first, 1],
            "bytes",
            "plain",
        ),
    ]


def step(crop, batch, parts):
    """Three training steps at width .25: the first makes Adam's moments."""
    settings = replace(settings_for(crop, "rebalanced", batch), accumulate=parts, precision="32-true")
    run = new_run(settings, open_fabric("cpu"))
    return lambda: [run.step(number, run.settings.crop) for number in range(3)]


def true_ab(batch, side):
    """(batch, side, side, 2) of photographs, tiled."""
    return colours(side).reshape(8, side, side, 2).repeat(-(-batch // 8), 1, 1, 1)[:batch]


def sparse_loss(batch, side):
    """What the training loop does: encode, loss, gradient of the logits."""
    ab, logits, objective = (
        true_ab(batch, side),
        random_logits(batch, side),
        Objective("classification", ab_bins()),
    )
    soft_encode(ab[:1], objective.bins)  # the search table is made once

    def work():
        loss = objective.loss_to(logits * 1, objective.targets(ab), overwrite=True)
        return torch.autograd.grad(loss, logits)

    return work


def dense_loss(batch, side):
    """The same by equation 2 as it is written."""
    ab, logits, bins = true_ab(batch, side), random_logits(batch, side), ab_bins()
    soft_encode(ab[:1], bins)

    def work():
        target = densify(*soft_encode(ab, bins), len(bins)).permute(0, 3, 1, 2)  # (N, Q, h, w)
        loss = -(target * (logits * 1).log_softmax(1)).sum(1).mean()
        return torch.autograd.grad(loss, logits)

    return work


def random_logits(batch, side):
    torch.manual_seed(0)
    return torch.randn(batch, 313, side, side).to(memory_format=torch.channels_last).requires_grad_()

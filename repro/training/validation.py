"""How good a network is so far, on photographs that it is not trained on; and the curve of it."""

import csv
import io
import math

import torch
from jaxtyping import UInt8

from repro.color import Array
from repro.colorizer import Colorizer
from repro.evaluation.raw_accuracy import RawAccuracy
from repro.examples import to_example
from repro.files import write_atomically
from repro.training.batches import center_crops
from repro.training.processes import autocast, summed


@torch.inference_mode()
def validate(
    network, objective, photos: UInt8[Array, "n s s 3"], crop, precision, fabric, batch=64
) -> dict[str, float]:
    """Loss and both AuC figures on the middles of the photographs: {"validation_loss", "auc", "auc_rebalanced"}.

    Each process measures a part of them; all get the same answer.

    A loss that is not finite is handed back alone: no colour can be made of such an output.
    """
    network.eval()
    colorizer, accuracy, losses = (
        Colorizer(network, objective.bins, objective.name),
        RawAccuracy(objective.bins),
        0.0,
    )
    mine = center_crops(photos, crop)[fabric.global_rank :: fabric.world_size]
    for first in range(0, len(mine), batch):
        lightness, ab = (part.to(fabric.device) for part in to_example(mine[first : first + batch]))
        with autocast(precision, fabric.device):
            output = network(lightness.contiguous(memory_format=torch.channels_last)).float()
        losses += float(objective.loss(output, ab)) * len(ab)
        if not math.isfinite(losses):
            break
        accuracy.add(colorizer.decode(output).permute(0, 2, 3, 1), ab)
    network.train()
    loss = float(summed(torch.tensor(losses, dtype=torch.float64), fabric)) / len(photos)
    if not math.isfinite(loss):
        return {"validation_loss": loss}
    accuracy.reduce(lambda counts: summed(counts, fabric))
    return {"validation_loss": loss, "auc": accuracy.auc(), "auc_rebalanced": accuracy.auc(rebalanced=True)}


def write_curve(path, history):
    """The history as CSV, one row a validation: what `dvc plots` draws."""
    text = io.StringIO()
    writer = csv.DictWriter(text, history[0])
    writer.writeheader()
    writer.writerows(history)
    write_atomically(path, text.getvalue().encode())

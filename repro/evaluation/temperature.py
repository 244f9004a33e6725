"""At which temperature a network's logits say how likely colours are, and what each temperature costs.

The softmax of logits that were trained by cross entropy, each colour counted alike, is nearest to the true colours at
T = 1; rebalanced training moves that.  The authors' Caffe release decodes at .38, their PyTorch release at 1: had its
file the Caffe release's scale in its last layer, all temperatures would be 2.6 times as high, and the divergence at
T = 1 far above what the release gives itself.  The release's loss is the Kullback-Leibler divergence (KL) from soft
targets of 10 neighbours, summed over 64 x 64 values.  It gives 7715 for the model on the first 10,000 validation
photographs of ImageNet: 1.88 nats a pixel.
"""

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor

from repro.bins import ab_bins
from repro.decoding import annealed_mean
from repro.encoding import soft_encode
from repro.evaluation.intervals import bootstrap
from repro.evaluation.raw_accuracy import auc_interval, by_colour
from repro.examples import to_example
from repro.objectives import gives_ab

TEMPERATURES = (0.1, 0.2, 0.3, 0.38, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 2.6)
NEIGHBOURS = 10  # of the release's soft targets
BATCH = 16  # photographs


def scan_temperature(
    photos: UInt8[np.ndarray, "n h w 3"], models: dict, report=print, seed: int = 0
) -> dict[str, dict]:
    """{model: scan} of every model with logits on photographs that it was not trained on.

    models: {name: Colorizer}.  Each network is shown the copies that it is made for.
    A scan has, of every 4th pixel of that copy: "values" a photograph; "constant", the KL of the set's own mean
    colours, which needs no network; "nearest", the T with the lowest KL; "over_constant": {mean, error, low, high} of
    the KL at T = 1 less that of the mean colours, photograph by photograph; "temperatures": {T: {"kl" (nats a pixel),
    "auc", "auc_rebalanced": {mean, error, low, high}}}, with 95 % intervals over photographs.
    """
    found = {}
    for name, model in models.items():
        if not gives_ab(model.objective):
            found[name] = _scan(photos, model, seed)
            at, nearest = found[name]["temperatures"], found[name]["nearest"]
            lowest, plain = (at[t]["kl"]["mean"] for t in (nearest, "1"))
            report(f"{name}: KL {plain:.3f} nats a pixel at T = 1; {lowest:.3f}, its lowest, at T = {nearest}")
    return found


def _scan(photos, model, seed):
    bins = ab_bins()
    kl = {t: [] for t in TEMPERATURES}
    errors, counts, targets, entropy = {t: [] for t in TEMPERATURES}, [], [], []
    for first in range(0, len(photos), BATCH):
        copies = np.stack([model.small(photo) for photo in photos[first : first + BATCH]])
        lightness, ab = to_example(copies)
        logits, soft = model.predict(lightness), soft_encode(ab, bins, NEIGHBOURS)
        values = ab[0, ..., 0].numel()
        targets += [torch.bincount(i.flatten(), w.flatten(), len(bins)) / values for i, w in zip(*soft, strict=True)]
        entropy += (-torch.xlogy(soft[1], soft[1]).sum((1, 2, 3)) / values).tolist()
        for t in TEMPERATURES:
            kl[t] += divergence(logits / t, *soft).tolist()
            count, error = by_colour(annealed_mean(logits, bins, t).permute(0, 2, 3, 1), ab, bins)
            errors[t].append(error)
        counts.append(count)
    counts, found = np.concatenate(counts), {}
    for t in TEMPERATURES:
        error = np.concatenate(errors[t])
        aucs = {f"auc{end}": vars(auc_interval(counts, error, bool(end), seed=seed)) for end in ("", "_rebalanced")}
        found[f"{t:g}"] = {"kl": vars(bootstrap(kl[t], seed=seed))} | aucs
    targets = torch.stack(targets).double()  # a row a photograph
    constant = -torch.xlogy(targets, targets.mean(0)).sum(1).numpy() - entropy
    nearest = min(found, key=lambda t: found[t]["kl"]["mean"])
    lead = vars(bootstrap(np.array(kl[1.0]) - constant, seed=seed))
    scan = {"values": values, "constant": float(constant.mean()), "nearest": nearest, "over_constant": lead}
    return scan | {"temperatures": found}


def divergence(
    logits: Float[Tensor, "n q h w"], indices: Int64[Tensor, "n h w k"], weights: Float[Tensor, "n h w k"]
) -> Float32[Tensor, " n"]:
    """KL of softmax(logits) from the soft targets of `soft_encode`, in nats, the mean over each photograph."""
    z = logits.permute(0, 2, 3, 1)
    cross = z.logsumexp(-1) - (weights * z.gather(-1, indices)).sum(-1)
    return (cross + torch.xlogy(weights, weights).sum(-1)).mean((1, 2))

"""What the features know: linear probes on frozen layers (paper, section 3.2).

The paper calls this "cross-channel encoding as self-supervised feature learning". The network is frozen, every layer's
features are shrunk bilinearly to about 9,600 values, as the authors did in "Split-Brain Autoencoders" (CVPR 2017), and
a linear classifier is trained on them. (The paper itself pools by averaging.) Features are computed once, kept on disk
in half precision, and read in mini-batches: memory stays at one mini-batch, whatever the data. The same code serves ten
classes on a laptop, ImageNet's thousand on a GPU, and several labels a photograph (PASCAL VOC).
"""

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float16, Int, Int64, UInt8
from torch import Tensor
from torch.nn import functional

from repro.color import Array, rgb8_to_lightness
from repro.evaluation.paired import t_reach
from repro.evaluation.quality import Targets, right, sampling_error, score
from repro.initialization import kmeans_initialize, random_initialize, refresh_batch_statistics
from repro.network import ColorizationNet

VALUES = 9600  # of a layer's features, about (Split-Brain)
LAYERS = tuple(ColorizationNet.depths)
UNTRAINED = ("random", "k-means")
L2 = (1e-4, 1e-3, 1e-2, 1e-1)  # of the standardised features' weights: the best on held-out photographs is taken
Rows = Int64[np.ndarray, " _"]  # positions of photographs
Labelled = tuple[UInt8[np.ndarray, "_ s s 3"], Sequence[int] | Int[Array, "_ ..."]]  # photographs, their `Targets`


@dataclass(frozen=True)
class Probe:
    """A linear classifier on one layer.

    weights: one row for each feature, the bias last.  mean, scale: of the features.  l2: the decay that was chosen.
    """

    weights: Float[Tensor, "_ classes"]
    mean: Float[Tensor, " d"]
    scale: Float[Tensor, " d"]
    l2: float

    def scores(
        self, features: Float[np.ndarray, "n d"], rows: Rows | None = None, batch: int = 2048
    ) -> Float[Tensor, "_ classes"]:
        """The scores of features, or of those at the positions `rows`."""
        rows = np.arange(len(features)) if rows is None else rows
        parts = [
            _standardised(features[rows[first : first + batch]], self.mean, self.scale) @ self.weights[:-1]
            + self.weights[-1]
            for first in range(0, len(rows), batch)
        ]
        return torch.cat(parts)


# ---- features ----


def resized(features: Float[Tensor, "n c h w"], values: int = VALUES) -> Float[Tensor, "n _"]:
    """Shrink maps bilinearly to about `values` values each: the largest square with C side^2 <= values.

    A map that is smaller already is left as it is: enlarging it tells a linear classifier nothing new.
    """
    side = max(1, math.isqrt(values // features.shape[1]))
    if side < min(features.shape[2:]):
        features = functional.interpolate(features, (side, side), mode="bilinear", antialias=True, align_corners=False)
    return features.flatten(1)


@contextmanager
def layer_features(
    network, photos: UInt8[np.ndarray, "n s s 3"], layers=LAYERS, values=VALUES, batch=64, folder=None
) -> Iterator[dict[str, Float16[np.ndarray, "n _"]]]:
    """Features of photographs: a context that gives memory-mapped arrays by layer.

    network: ColorizationNet, frozen.  photos: S is a multiple of 8.  folder: where the files lie while the context is
    open, by default the system's temporary folder; they take at most 19 kB a photograph and layer.
    """
    network = network.eval()
    device = next(network.parameters()).device
    with tempfile.TemporaryDirectory(prefix="features-", dir=folder) as place:
        arrays = {}
        for first in range(0, len(photos), batch):
            lightness = torch.from_numpy(rgb8_to_lightness(photos[first : first + batch]))[:, None]
            with torch.inference_mode():
                taps = network.taps(lightness.to(device), [network.depths[layer] for layer in layers])
                for layer in layers:
                    # within what half precision holds, 65,504
                    rows = resized(taps[network.depths[layer]].float(), values).clamp(-6e4, 6e4).half().cpu().numpy()
                    if layer not in arrays:
                        arrays[layer] = np.lib.format.open_memmap(
                            Path(place, f"{layer}.npy"), "w+", np.float16, (len(photos), rows.shape[1])
                        )
                    arrays[layer][first : first + len(rows)] = rows
        yield arrays


# ---- the linear classifier ----


def fit_probe(
    features: Float[np.ndarray, "n d"], targets: Targets, rows: Rows | None = None, held_out=0.2, decays=L2,
    iterations=60, batch=2048, device="cpu", seed=0, tuning: Rows | None = None,
) -> Probe:  # fmt: skip
    """A linear classifier by L-BFGS, its decay chosen on held-out photographs.

    features: half precision and on disk if large. targets: classes, or -1, 0 or 1 for each of several labels a
    photograph, where 0 is neither. rows: to learn from, in order; default all. tuning: other photographs that the
    decay is chosen on; without them it is chosen on a share `held_out` of `rows`, and then all of these are used. A
    single decay is taken as it is. The gradient is summed over mini-batches of `batch` photographs, and no more are in
    memory. Raises ValueError if targets do not go with the features.
    """
    targets = torch.as_tensor(np.asarray(targets))
    if len(targets) != len(features) or targets.ndim not in (1, 2):
        raise ValueError(f"expected targets ({len(features)},) or ({len(features)}, C), got {tuple(targets.shape)}")
    rows = np.arange(len(features)) if rows is None else rows
    mean, scale = (part.to(device) for part in _moments(features, rows, batch))

    def solve(chosen, l2, start=None):
        weights = _minimise(features, targets, chosen, mean, scale, l2, start, iterations, batch)
        return Probe(weights, mean, scale, l2)

    if len(decays) == 1:
        return solve(rows, decays[0])
    fitting = rows
    if tuning is None:
        order = np.random.default_rng(seed).permutation(rows)
        count = max(1, int(held_out * len(rows)))
        tuning, fitting = np.sort(order[:count]), np.sort(order[count:])
    probe, best, quality = None, None, -math.inf
    for l2 in sorted(decays, reverse=True):  # from the stiffest on, each from where the last one ended
        probe = solve(fitting, l2, probe.weights if probe else None)
        here = score(probe.scores(features, tuning, batch).cpu(), targets[tuning])
        if here > quality:
            best, quality = probe, here
    # chosen on a part of the rows, the decay is used once more on all of them
    return best if fitting is rows else solve(rows, best.l2, best.weights)


def _minimise(features, targets, rows, mean, scale, l2, start, iterations, batch):
    classes = targets.shape[1] if targets.ndim == 2 else int(targets.max()) + 1
    weights = torch.zeros(len(mean) + 1, classes, device=mean.device) if start is None else start.clone()
    weights.requires_grad_()
    optimizer = torch.optim.LBFGS([weights], max_iter=iterations, history_size=8, line_search_fn="strong_wolfe")

    def part(first):
        chosen = rows[first : first + batch]
        return _standardised(features[chosen], mean, scale), targets[chosen].to(mean.device)

    only = part(0) if len(rows) <= batch else None  # what fits into one mini-batch is read once

    def closure():
        optimizer.zero_grad()
        total = l2 / 2 * weights[:-1].square().sum()
        total.backward()  # the decay's part of the gradient, to which every mini-batch adds its own
        for first in range(0, len(rows), batch):
            values, wanted = only or part(first)
            loss = _loss(values @ weights[:-1] + weights[-1], wanted) / len(rows)
            loss.backward()
            total = total.detach() + loss.detach()
        return total

    optimizer.step(closure)
    return weights.detach()


def _loss(scores, targets):
    """Summed over photographs: cross entropy, or the logistic loss of every class that is not 0."""
    if targets.ndim == 1:
        return functional.cross_entropy(scores, targets, reduction="sum")
    return (functional.softplus(-scores * targets) * (targets != 0)).sum() / targets.shape[1]


def _standardised(rows, mean, scale):
    return (torch.from_numpy(np.asarray(rows)).to(mean.device).float() - mean) / scale


def _moments(features, rows, batch):
    """Mean and standard deviation of each feature (D,); a feature that hardly varies is only centred."""
    total = torch.zeros(2, features.shape[1], dtype=torch.float64)  # E[x^2] - E[x]^2 cancels in float32
    for first in range(0, len(rows), batch):
        values = torch.from_numpy(np.asarray(features[rows[first : first + batch]])).double()
        total += torch.stack((values.sum(0), values.square().sum(0)))
    mean, square = total / len(rows)
    deviation = (square - mean.square()).clamp_min(0).sqrt()
    return mean.float(), torch.where(deviation > 1e-4, deviation, 1.0).float()


# ---- networks side by side ----


@dataclass(frozen=True)
class LayerQuality:
    """One probe: network, layer, seed, quality and the number of features.

    validation: the same on the photographs that chose the decay, which choose the best layer too.  error: standard
    error of the quality, had other test photographs been drawn.  right: which of them were, as `quality.right` says.
    """

    network: str
    layer: str
    seed: int
    quality: float
    features: int
    validation: float = math.nan
    error: float = 0.0
    right: Bool[np.ndarray, " n"] | None = field(default=None, compare=False, repr=False)


def drawn(draw, photographs):
    """How many photographs a seed learns from: `draw` (None: all), less a fifth, ten if possible, for the decay."""
    most = photographs - max(-(-photographs // 5), min(10, photographs // 2))
    return max(1, min(draw or most, most))


def probe_layers(
    name, network, training: Labelled, test: Labelled, layers=LAYERS, seeds=(0, 1, 2), draw=None,
    report=print, **options,
) -> list[LayerQuality]:  # fmt: skip
    """Probes on every layer of one network.

    seeds: each draws `draw` of the training photographs to learn from, so the spread over seeds is that of other
    training photographs.  Those that its seed did not draw choose the decay of a probe.  options: for `fit_probe`.
    """
    found = []
    photographs, draw = len(training[0]), drawn(draw, len(training[0]))
    with (
        layer_features(network, training[0], layers) as known,
        layer_features(network, test[0], layers) as unseen,
    ):
        for layer in layers:
            for seed in seeds:
                rows = _draw(training[1], draw, seed)
                left = np.setdiff1d(np.arange(photographs), rows)
                probe = fit_probe(known[layer], training[1], rows, seed=seed, tuning=left, **options)
                scores = probe.scores(unseen[layer]).cpu()
                chosen_by = score(probe.scores(known[layer], left).cpu(), np.asarray(training[1])[left])
                quality, error, hit = score(scores, test[1]), sampling_error(scores, test[1]), right(scores, test[1])
                found.append(LayerQuality(name, layer, seed, quality, known[layer].shape[1], chosen_by, error, hit))
            here = [row.quality for row in found if row.layer == layer]
            around = f" +- {deviation(here):.3f}" if len(here) > 1 else ""
            report(f"  {name:15s} {layer}  {np.mean(here):.3f}{around}")
    return found


def probe_beside_untrained(
    trained: dict, lightness: Float[Tensor, "n 1 h w"], training: Labelled, test: Labelled, layers, seeds, draw
) -> list[LayerQuality]:
    """`probe_layers` of trained networks {name: network}, and of untrained ones of either kind for each seed.

    lightness: what untrained networks start from; they are as wide as the last trained one.
    """
    found = []
    for name, network in trained.items():
        found += probe_layers(name, network, training, test, layers, seeds, draw)
    for kind in UNTRAINED if trained else ():
        for seed in seeds:
            start = untrained(kind, network.width, lightness, seed)
            found += probe_layers(kind, start, training, test, layers, [seed], draw, lambda line: None)
            print(f"  {kind:15s} start of seed {seed}")  # a line for each layer of each would bury the others
    return found


def _draw(targets, count, seed):
    """Positions of `count` photographs, in order; the classes take turns, where a photograph has one class."""
    targets = np.asarray(targets)
    order = np.random.default_rng((seed, 77)).permutation(len(targets))  # 77: draws apart from `fit_probe`'s
    if targets.ndim == 1:
        turn = np.empty(len(order), int)
        for label in np.unique(targets):
            of_class = np.flatnonzero(targets[order] == label)
            turn[of_class] = np.arange(len(of_class))  # 0 for the first of its class: sorted, classes take turns
        order = order[np.argsort(turn, kind="stable")]
    return np.sort(order[:count])


def deviation(values):
    """Standard deviation over seeds; NaN for a single one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def untrained(kind: str, width: float, lightness: Float[Tensor, "n 1 h w"], seed: int = 0) -> ColorizationNet:
    """A network that has seen no colour: kind "random" (He's) or "k-means".

    Batch normalisation is set to lightness, 0..100.
    """
    torch.manual_seed(seed)
    network = ColorizationNet(width)
    if kind == "k-means":
        return kmeans_initialize(network, lightness, seed).eval()
    random_initialize(network, "he")
    with torch.no_grad():
        refresh_batch_statistics(network.train(), lightness)
    return network.eval()


def by_network(found):
    """{network: {layer: mean quality ..., "best_layer", "best": its mean, "spread": over seeds, "low", "high"}}.

    The best layer is the one that is best on validation photographs, so the test photographs do not choose what
    they measure.  low, high: 95 % interval of "best", over other seeds and other test photographs.
    """
    grouped = {}
    for row in found:
        grouped.setdefault(row.network, {}).setdefault(row.layer, []).append(row)
    result = {}
    for network, layers in grouped.items():
        means = {layer: float(np.mean([row.quality for row in rows])) for layer, rows in layers.items()}
        best = max(layers, key=lambda layer: np.mean([row.validation for row in layers[layer]]))
        mean, seeds = means[best], [row.quality for row in layers[best]]
        reach = t_reach(float(np.mean([row.error**2 for row in layers[best]])), seeds)
        result[network] = means | {"best_layer": best, "best": mean, "spread": deviation(seeds)}
        result[network] |= {"low": max(mean - reach, 0.0), "high": min(mean + reach, 1.0)}
    return result

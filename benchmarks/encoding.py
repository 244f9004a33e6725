"""Soft encoding: our search table beside the release's ball tree and scipy's k-d tree.

Exactness is measured by brute force.
"""

import numpy as np
import torch
from scipy.spatial import cKDTree
from sklearn.neighbors import NearestNeighbors

from benchmarks.measure import Figure, best_seconds
from benchmarks.photographs import colours
from repro.bins import ab_bins
from repro.encoding import soft_encode

NEIGHBOURS, SIGMA = 5, 5.0


def run(small=False):
    ab, bins = colours(20 if small else 143), ab_bins()  # 8 x 143 x 143: 164 thousand pixels
    points, centres = ab.numpy(), bins.numpy()
    ball_tree = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="ball_tree").fit(centres)
    kd_tree = cKDTree(centres)

    def release():
        distance, indices = ball_tree.kneighbors(points)
        dense = np.zeros((len(points), len(centres)))
        dense[np.arange(len(points))[:, None], indices] = gaussian(distance)
        return dense

    def scipy_tree():
        distance, indices = kd_tree.query(points, NEIGHBOURS, workers=torch.get_num_threads())
        return indices, gaussian(distance)

    seconds = best_seconds(
        {"ours": lambda: soft_encode(ab, bins, NEIGHBOURS, SIGMA), "release": release, "scipy": scipy_tree},
        1 if small else 9,
    )
    name, errors = f"soft_encode, {len(ab):,} pixels", exactness(ab, bins)
    return [
        Figure(
            name,
            "ball tree and dense array (release)",
            seconds["ours"],
            seconds["release"],
            goal="5 x",
            notes=errors,
        ),
        Figure(name, "scipy cKDTree, all cores", seconds["ours"], seconds["scipy"], goal="3 x", notes=errors),
    ]


def gaussian(distance):
    """Weights (P, K) of distances (P, K), as the release computes them."""
    weights = np.exp(-(distance**2) / (2 * SIGMA**2))
    return weights / weights.sum(1, keepdims=True)


def exactness(ab, bins, chunk=20_000):
    """Greatest difference from brute force in float64, of the weights and of the distances.

    The distances are those to the chosen bins, in ab units.
    """
    weight_error = distance_error = 0.0
    for part in ab.split(chunk):
        indices, weights = soft_encode(part, bins, NEIGHBOURS, SIGMA)
        distance = (part.double()[:, None] - bins.double()).square().sum(-1).sqrt()
        wanted = distance.sort(1).values[:, :NEIGHBOURS]
        weight_error = max(weight_error, np.abs(gaussian(wanted.numpy()) - weights.numpy()).max())
        distance_error = max(distance_error, (distance.gather(1, indices) - wanted).abs().max().item())
    return {"weight_error": float(weight_error), "distance_error": distance_error}

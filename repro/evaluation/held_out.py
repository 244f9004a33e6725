"""Models measured on photographs that none of them has seen: every figure for every photograph.

Whatever a method does, it is judged by the picture that it hands out, (H, W, 3) uint8 at full size: the ab
error of raw accuracy, plain and rebalanced, PSNR, colourfulness, and what classifiers see.  The rows of a
photograph are kept, so that any mean can have its interval.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int64, UInt8
from torch import Tensor

from repro.bins import ab_bins, nearest_bin
from repro.color import rgb8_to_lab
from repro.evaluation.classifiers import match_classes
from repro.evaluation.intervals import bootstrap
from repro.evaluation.paired import steps
from repro.evaluation.raw_accuracy import LIMIT, auc_interval, by_colour
from repro.evaluation.semantic import ask, recolourings

COMPARED = (  # pairs of methods whose difference says something: the paper's claims, and what goes beyond it
    ("rebalanced", "gray"),
    ("rebalanced", "classification"),
    ("rebalanced", "regression"),
    ("rebalanced", "regression_finetuned"),
    ("classification", "gray"),
    ("regression", "gray"),
    ("classification", "regression"),
    ("regression_finetuned", "regression"),
    ("regression_finetuned", "classification"),
    ("rebalanced, mode", "rebalanced"),  # decoded otherwise: --decode rebalanced
    ("rebalanced", "rebalanced, mean"),
    ("encoder", "rebalanced"),
    ("encoder", "gray"),
    ("release", "gray"),
)
VIVID = (("regression", "truth"), ("rebalanced", "truth"))  # pairs whose colourfulness is compared
RECORDED_AS = "rebalanced AuC: jackknife; the others: bootstrap"  # how intervals are made, as a record says
BY_COLOUR = "by colour"  # the key of a row's (2, Q) array, which no table shows


def psnr(truth: UInt8[np.ndarray, "n h w 3"], colored: UInt8[np.ndarray, "n h w 3"]) -> Float64[np.ndarray, " n"]:
    """Peak signal-to-noise ratio of each picture, dB; infinite where the two are equal."""
    squared = (truth.astype(np.float32) - colored) ** 2
    with np.errstate(divide="ignore"):
        return 10 * np.log10(255**2 / squared.mean((1, 2, 3), dtype=np.float64))


def colorfulness(rgb8: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, " n"]:
    """How colourful pictures are to people.

    0 is gray, about 15 slightly, 33 moderately, 59 quite colourful.

    Hasler and Suesstrunk, "Measuring colourfulness in natural images" (2003), equation 3 of the simple metric:
    deviations and .3 of the means of rg = R - G and yb = (R + G) / 2 - B.
    """
    red, green, blue = np.moveaxis(rgb8.astype(np.float32), -1, 0)
    opponents = np.stack((red - green, (red + green) / 2 - blue))
    deviation, mean = opponents.std((2, 3)), opponents.mean((2, 3))
    return np.hypot(*deviation) + 0.3 * np.hypot(*mean)


def ab_of(rgb8: UInt8[np.ndarray, "n h w 3"]) -> Float32[Tensor, "n h w 2"]:
    """ab of every pixel of pictures, ab units."""
    return torch.from_numpy(rgb8_to_lab(np.ascontiguousarray(rgb8))[..., 1:].copy())


class HeldOut:
    """A set of photographs, and how each of its pixels counts.

    name: of the set.  names: of the photographs.  labels, classes: as in `Prepared`; classifiers are asked only where
    there are some.
    """

    def __init__(
        self,
        name: str,
        photos: UInt8[np.ndarray, "n h w 3"],
        names: Sequence[str],
        labels: Sequence[int] | Int64[np.ndarray, " n"] | None = None,
        classes: Sequence[str] = (),
    ):
        self.name, self.photos, self.names = name, photos, names
        self.labels, self.classes = labels, classes
        bins = ab_bins()
        self.ab = [ab_of(photo[None])[0] for photo in photos]
        self.bin_of = [nearest_bin(ab.reshape(-1, 2), bins).view(ab.shape[:-1]) for ab in self.ab]
        count = sum(torch.bincount(found.flatten(), minlength=len(bins)) for found in self.bin_of).double()
        self.weight_of = torch.where(count > 0, 1 / count, 0)  # every colour that occurs counts the same

    def rows(self, method: str, colored: UInt8[np.ndarray, "n h w 3"]) -> list[dict]:
        """A dict for each photograph: the figures of a method's pictures.

        auc, auc_rebalanced: of this photograph.  pixels and rarity: how much it counts in the set's two
        figures, which are the weighted means.  steps: how patchy the colours are.  "by colour": (2, Q) of
        `by_colour`, for intervals.
        """
        peak, vivid = psnr(self.photos, colored), colorfulness(colored)
        rows = []
        for index, name in enumerate(self.names):
            ab = ab_of(colored[index][None])
            error = (ab[0] - self.ab[index]).norm(dim=-1).clamp(max=LIMIT).double()
            weight = self.weight_of[self.bin_of[index]]
            rows.append(
                {
                    "set": self.name, "photograph": name, "method": method,
                    "auc": 1 - float(error.mean()) / LIMIT, "pixels": error.numel(),
                    "auc_rebalanced": 1 - float((error * weight).sum() / weight.sum()) / LIMIT,
                    "rarity": float(weight.sum()),
                    "psnr": float(peak[index]), "colorfulness": float(vivid[index]), "steps": float(steps(ab)[0]),
                    BY_COLOUR: np.concatenate(by_colour(ab, self.ab[index][None], ab_bins())),
                }
            )  # fmt: skip
        return rows

    def outputs_of(self, classifier) -> Int64[np.ndarray, " classes"] | None:
        """Which of a classifier's outputs stand for the set's classes; None where it lacks one, or there are none."""
        outputs = match_classes(self.classes, classifier.outputs)
        return None if not len(outputs) or (outputs < 0).any() else outputs

    def asked(
        self, classifier, colored: UInt8[np.ndarray, "n h w 3"]
    ) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]] | None:
        """Whether a classifier names each photograph's class first.

        The first is among all of its outputs, the second among the set's own classes.  None where the set has no
        classes that it knows.
        """
        outputs = self.outputs_of(classifier)
        if outputs is None:
            return None
        answers = ask(classifier, colored, self.labels, outputs)
        return answers.rank == 0, answers.among == 0


def measure(held_out, models, classifiers=(), report=print, seed=0, training=None):
    """Rows (a list of dicts) of every method on a `HeldOut`: truth, gray, random and each of {name: Colorizer}.

    training: photographs whose colours random takes, of the set's size; None: the others of the set.
    """
    rows = []
    for method, colored in recolourings(held_out.photos, models, seed, training).items():
        found = held_out.rows(method, colored)
        for classifier in classifiers:
            answers = held_out.asked(classifier, colored)
            if answers is not None:
                name = classifier.name.split("/")[-1]  # without the folders of this machine
                for row, first, among in zip(found, *answers, strict=True):
                    row[f"top1 {name}"] = int(first)
                    row[f"top1 of {len(held_out.classes)} {name}"] = int(among)
        rows += found
        report(f"{held_out.name}: {method} measured on {len(held_out.names)} photographs")
    return rows


def summary(rows, seed=0):
    """{set: {method: {figure: {mean, error, low, high}}}} of rows, with intervals over photographs (`RECORDED_AS`).

    The two AuC figures are means over the set's pixels and colours, the others over its photographs.
    """
    return {
        name: {
            method: {figure: vars(_interval(figure, of_method, seed=seed)) for figure in _figures(of_method)}
            for method, of_method in methods.items()
        }
        for name, methods in _grouped(rows).items()
    }


def differences(rows, pairs=COMPARED, seed=0):
    """{set: {"A - B": {figure: {mean, error, low, high}}}} of the pairs of methods that were measured.

    Both methods are measured on the same photographs and drawn together, so what makes a photograph easy or
    hard for both does not widen the interval.  Rows of a CSV file lack what photographs give to each colour: the
    weights of the rebalanced AuC are then the set's in every resample, which mostly makes its interval too wide.
    """
    return {
        name: {
            f"{one} - {other}": {
                figure: vars(_interval(figure, methods[one], methods[other], seed))
                for figure in _figures(methods[one])
                if figure in _figures(methods[other])
            }
            for one, other in pairs
            if {one, other} <= set(methods)
        }
        for name, methods in _grouped(rows).items()
    }


def _grouped(rows):
    """Rows as {set: {method: its rows}}."""
    found = {}
    for row in rows:
        found.setdefault(row["set"], {}).setdefault(row["method"], []).append(row)
    return found


def _figures(rows):
    """The names of what was measured of every photograph and is finite."""
    skipped = {"set", "photograph", "method", "pixels", "rarity", BY_COLOUR}
    return [name for name in rows[0] if name not in skipped and np.isfinite([row[name] for row in rows]).all()]


def _interval(figure, rows, other=None, seed=0):
    """An Interval of a figure of a method's rows, or of its difference from another method's."""
    if figure in ("auc", "auc_rebalanced") and BY_COLOUR in rows[0]:
        counts, errors = np.stack([row[BY_COLOUR] for row in rows], 1)
        others = None if other is None else np.stack([row[BY_COLOUR][1] for row in other])
        return auc_interval(counts, errors, figure == "auc_rebalanced", others, seed)
    values = np.array([row[figure] for row in rows], float)
    weighs = {"auc": "pixels", "auc_rebalanced": "rarity"}.get(figure)
    weights = [row[weighs] for row in rows] if weighs else None
    return bootstrap(values if other is None else values - [row[figure] for row in other], seed=seed, weights=weights)

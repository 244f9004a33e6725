"""Semantic interpretability: how well a classifier of real photographs recognises coloured ones.

Paper, section 3.1, "semantic interpretability (VGG classification)": recoloured photographs go through an off-the-shelf
classifier (VGG-16 there), and its accuracy tells how realistic the colours are to it. Here any number of classifiers is
asked, each with the preprocessing of its own configuration.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int, Int64, UInt8
from PIL import Image

from repro.evaluation import baselines
from repro.evaluation.intervals import Interval, bootstrap


@dataclass(frozen=True)
class Answers:
    """What a classifier says about N photographs.

    rank: place of the right output among all outputs, 0 for the first.  among: the same among the outputs that stand
    for a class of the data.  certainty: log probability of the right one.  first: the K likeliest outputs of all, the
    likeliest first.
    """

    rank: Int64[np.ndarray, " n"]
    among: Int64[np.ndarray, " n"]
    certainty: Float32[np.ndarray, " n"]
    first: Int64[np.ndarray, "n k"]

    @classmethod
    def joined(cls, parts):
        """The answers to several batches as one, in order."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__annotations__))


def as_seen(
    photos: UInt8[np.ndarray, "n h w 3"], sight: int = 0, grain: float = 0, seed=0
) -> UInt8[np.ndarray, "n _ _ 3"]:
    """Photographs as a classifier of poor sight sees them: reduced to few pixels, with noise on each.

    Where every classifier finds every class in any colours, as in a painted world, their answers say nothing about
    colours.  sight: pixels of the side of what it sees, 0 for all there are.  grain: deviation of the noise, 8-bit
    levels; the same for the same seed, so that methods are compared under the same noise.  Where nothing changes, the
    photographs themselves are handed back.
    """
    if sight:
        reduced = [Image.fromarray(photo).resize((sight, sight), Image.Resampling.BOX) for photo in photos]
        photos = np.stack([np.asarray(photo) for photo in reduced])
    if not grain:
        return photos
    noise = np.random.default_rng(seed).normal(0, grain, photos.shape)
    return np.clip(photos + noise, 0, 255).astype(np.uint8)


def ask(
    classifier,
    photos: UInt8[np.ndarray, "n h w 3"],
    labels: Sequence[int] | Int[np.ndarray, " n"],
    outputs: Int64[np.ndarray, " classes"],
    batch: int = 64,
    most: int = 5,
) -> Answers:
    """Show photographs to a classifier.

    labels: classes of the data.  outputs: from `match_classes`.  most: of the likeliest outputs that are kept.
    Raises ValueError for a photograph whose class has no output.
    """
    outputs = torch.as_tensor(outputs)
    right = outputs[torch.as_tensor(np.asarray(labels, dtype=np.int64))]
    if (right < 0).any():
        raise ValueError("some photographs are of classes that this classifier does not have; leave them out")
    parts = []
    for first in range(0, len(photos), batch):
        scores = classifier.logits(photos[first : first + batch])
        wanted = scores.gather(1, right[first : first + batch, None])
        beaten = scores > wanted
        among = beaten[:, outputs[outputs >= 0]]
        certainty = scores.log_softmax(1).gather(1, right[first : first + batch, None])[:, 0]
        first_ones = scores.topk(min(most, scores.shape[1])).indices
        parts.append(Answers(beaten.sum(1).numpy(), among.sum(1).numpy(), certainty.numpy(), first_ones.numpy()))
    return Answers.joined(parts)


def accuracy(rank: Int[np.ndarray, " n"], top: int = 1, seed: int = 0) -> Interval:
    """Top-1 or top-k accuracy with its bootstrap interval over photographs."""
    return bootstrap(np.asarray(rank) < top, seed=seed)


def class_changes(
    before: Bool[np.ndarray, " n"],
    after: Bool[np.ndarray, " n"],
    labels: Sequence[int] | Int[np.ndarray, " n"],
    classes: Sequence[str],
) -> list[tuple[str, float, int]]:
    """Which classes gain and lose: [(class, change of top-1, photographs)], the largest gain first.

    before, after: which photographs two methods have right.
    """
    labels = np.asarray(labels)
    difference = np.asarray(after, float) - np.asarray(before, float)
    rows = [
        (classes[label], float(difference[labels == label].mean()), int((labels == label).sum()))
        for label in np.unique(labels)
    ]
    return sorted(rows, key=lambda row: -row[1])


@dataclass(frozen=True)
class Confusion:
    """How often photographs of a class are taken for something else, before and after: one pair of names.

    label: class of the data.  output: of the classifier.  before, after: shares of its photographs, 0..1.
    low, high: 95 % interval of after - before.
    """

    label: int
    output: int
    before: float
    after: float
    low: float
    high: float
    photographs: int


def confusions(
    before: Answers,
    after: Answers,
    labels: Sequence[int] | Int[np.ndarray, " n"],
    outputs: Int64[np.ndarray, " classes"],
    top=5,
    most=10,
    seed=0,
) -> list[Confusion]:
    """The confusions that a recolouring adds and removes, the largest change first.

    As the paper's figures 10 and 11: C(after) - C(before), where C[i, j] is the share of the photographs of class i
    that have the output j, not the right one, among the `top` likeliest.  before, after: to the same
    photographs.  outputs: from `match_classes`.  most: of the changes, at most; pairs without a change are left out.
    """
    labels, found = np.asarray(labels), []
    for label in np.unique(labels):
        ours = np.flatnonzero(labels == label)
        had, has = (answers.first[ours, :top] for answers in (before, after))
        for output in np.setdiff1d(np.union1d(had, has), outputs[label]):
            changed = (has == output).any(1).astype(float) - (had == output).any(1)
            if changed.any():
                found.append((abs(changed.mean()), int(label), int(output), had, has, changed))
    found.sort(key=lambda row: row[:3], reverse=True)
    return [_confusion(*row[1:], seed) for row in found[:most]]


def _confusion(label, output, had, has, changed, seed):
    shares = [float((some == output).any(1).mean()) for some in (had, has)]
    interval = bootstrap(changed, seed=seed)
    return Confusion(label, output, *shares, interval.low, interval.high, len(changed))


def telling_cases(
    before: Answers, after: Answers, most: int = 4
) -> tuple[Int64[np.ndarray, " gained"], Int64[np.ndarray, " lost"]]:
    """Photographs whose answer changes most: (gained, lost), positions, the largest change of certainty first.

    before, after: of two methods on the same photographs.
    """
    change = after.certainty - before.certainty
    gained = np.flatnonzero((before.among > 0) & (after.among == 0))
    lost = np.flatnonzero((before.among == 0) & (after.among > 0))
    gained = gained[np.argsort(-change[gained], kind="stable")]
    return gained[:most], lost[np.argsort(change[lost], kind="stable")][:most]


def recolourings(
    photos: UInt8[np.ndarray, "n h w 3"], models: dict, seed=0, training: UInt8[np.ndarray, "m h w 3"] | None = None
) -> dict[str, UInt8[np.ndarray, "n h w 3"]]:
    """The same photographs as truth, gray, random and as every model colours them.

    models: {name: Colorizer}.  training: photographs of the training set and of the same size; random is each
    photograph's lightness with the colours of one drawn from them, as in the paper.  Without them the others of the
    set serve.  seed: of that draw, as of `baselines.random`.
    """
    other = baselines.others(photos, seed) if training is None else baselines.random(training, len(photos), seed)
    made = {
        "truth": np.asarray(photos),
        "gray": baselines.painted(photos),
        "random": baselines.painted(photos, other),
    }
    return made | {name: np.stack([model.colorize(photo) for photo in photos]) for name, model in models.items()}

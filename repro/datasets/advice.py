"""What a collection of photographs cannot teach or tell, said before anything is trained on it."""

from pathlib import Path

import numpy as np
import torch

from repro.examples import true_ab

SAMPLE = 200  # photographs of which the hues are looked at
ONE_HUE = 0.98  # of a photograph's chroma points one way, as in a toned print
FEW = 30  # photographs: what is measured on fewer are examples


def advice(prepared, batch):
    """Warnings, a list of lines: what it means that the photographs are as they are.

    prepared: {split: Prepared}, all three.  batch: photographs of a training step.
    """
    train, test = prepared["train"], prepared["test"]
    count, found = len(train.names), []
    if train.report["source"] != "shards" and count < batch:
        found.append(
            f"a batch of {batch} is larger than the {count} photographs to train on, so that every step shows each of "
            f"them more than once and the network learns them by heart; lower train.batch, or add photographs"
        )
    if len(test.names) < FEW:
        found.append(
            f"only {len(test.names)} photographs are there to test on: what pages 06 to 10 measure on them are "
            "examples, and intervals are wide"
        )
    return [*found, *_lonely_classes(train, test), *_tinted(train.photos)]


def _lonely_classes(train, test):
    """Lines on classes of which one of the two splits has no photograph."""
    names, trained, tested = train.classes, set(train.labels.tolist()), set(test.labels.tolist())
    for found, what in (
        (tested - trained, "to test on and none to train on: no classifier can learn {it}"),
        (trained - tested, "to train on and none to test on: how well {they} can be recognised is not measured"),
    ):
        lonely = [names[label] for label in sorted(found - {-1})]
        if lonely:
            more = f" and {len(lonely) - 5} more" if len(lonely) > 5 else ""
            words = {"it": "it", "they": "it"} if len(lonely) == 1 else {"it": "them", "they": "they"}
            named = f"{', '.join(map(repr, lonely[:5]))}{more}"
            yield f"there are photographs of {named} {what.format(**words)}"


def _tinted(photos):
    """A line where most photographs have a single hue, as sepia prints have."""
    chosen = photos[np.linspace(0, len(photos) - 1, min(SAMPLE, len(photos))).astype(int)]
    ab = torch.as_tensor(true_ab(np.ascontiguousarray(chosen))).flatten(1, 2)  # (n, pixels, 2)
    together, alone = ab.sum(1).norm(dim=-1), ab.norm(dim=-1).sum(1)
    tinted = int((together > ONE_HUE * alone).sum())
    if 2 * tinted > len(chosen):
        yield (
            f"{tinted} of {len(chosen)} photographs to train on have a single hue, as sepia prints or tinted scans "
            "have: the network learns that tint as the colour of everything; train on photographs in natural colours"
        )


# ---- noticing that photographs came or went ----


def listing(folder):
    """The files of a folder as text, a line each with its size and the time of its last change."""
    root = Path(folder)
    if not root.exists():
        return f"{folder} is not there\n"
    lines = []
    for path in sorted(root.rglob("*")):
        if path.is_file():
            facts = path.stat()
            lines.append(f"{path.relative_to(root).as_posix()!r} {facts.st_size} {facts.st_mtime_ns}\n")
    return "".join(lines)

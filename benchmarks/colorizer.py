"""Colouring whole photographs, beside the network's forward pass on the small copy: time, and peak memory."""

import torch

from benchmarks.measure import Figure, best_seconds, peak_growth
from benchmarks.photographs import photograph
from repro.bins import ab_bins
from repro.color import rgb8_to_lightness
from repro.colorizer import Colorizer
from repro.colorizer.model import shrink
from repro.network import ColorizationNet

MEGAPIXELS = (0.25, 1, 12)
LARGE = (12, 60, 100)
MODELS = ((0.25, 64), (1.0, 256))  # (width, short side of the small copy): classroom, paper


def run(small=False):
    figures = []
    for width, short_side in MODELS[:1] if small else MODELS:
        for megapixels in (0.02,) if small else MEGAPIXELS:
            whole, forward = tasks(width, short_side, megapixels)
            seconds = best_seconds({"ours": whole, "forward": forward}, 1 if small else 5)
            settings = (width, short_side, megapixels)
            peak = {
                task: peak_growth(f"benchmarks.colorizer:{task}", *settings)
                for task in ("whole_photograph", "forward_alone")
            }
            name = f"colorize {megapixels:g} megapixels, width {width:g}, {short_side} px"
            figures += [
                Figure(name, "its forward pass alone", seconds["ours"], seconds["forward"], reading="plain"),
                Figure(
                    f"{name}, peak memory",
                    "its forward pass alone",
                    peak["whole_photograph"],
                    max(1, peak["forward_alone"]),
                    "bytes",
                    "plain",
                    notes={"photograph_bytes": photograph(megapixels).nbytes},
                ),
            ]
    return figures + [memory_of_the_default(megapixels) for megapixels in ((0.02,) if small else LARGE)]


def memory_of_the_default(megapixels):
    """Peak memory beside the result's own size, of the model that users get, with its search for a frame."""
    peak = peak_growth("benchmarks.colorizer:default_model", megapixels)
    result, name = photograph(megapixels).nbytes, f"colorize {megapixels:g} megapixels by default, peak memory"
    return Figure(name, "its result", max(1, peak), result, "bytes", "plain", goal="2 x and 50 MiB")


def default_model(megapixels):
    model, photo = Colorizer.load(), photograph(megapixels)
    model.colorize(photo[:64, :64])
    return lambda: model.colorize(photo)


def tasks(width, short_side, megapixels):
    """Two functions of no arguments: colour the photograph; the forward pass that this takes."""
    torch.manual_seed(0)
    bins = ab_bins()
    colorizer = Colorizer(ColorizationNet(width, len(bins)), bins, "rebalanced", short_side=short_side)
    photo = photograph(megapixels)
    lightness = torch.from_numpy(rgb8_to_lightness(shrink(photo, short_side)))[None, None]
    return lambda: colorizer.colorize(photo), lambda: colorizer.predict(lightness)


def whole_photograph(*settings):
    return tasks(*settings)[0]


def forward_alone(*settings):
    return tasks(*settings)[1]

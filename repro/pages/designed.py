"""Figures of a thing of one's own: what was predicted for it, what theory says, what a network answers."""

import numpy as np

from repro.color import lab_to_rgb8
from repro.pages.colours import bin_colors
from repro.pages.show import new_figure

ROWS = ("predicted", "theory", "network")
HATCHES = {"predicted": "xx", "theory": None, "network": "//"}


def one_colour(ab, lightness):
    """(3,) uint8: an ab pair as it looks at one lightness, L."""
    return lab_to_rgb8(np.float32([lightness, *ab]))


def beside(answers, lightness):
    """Colours under one another: {column: {row of ROWS: ab (2,) or None}}, each with its numbers.

    lightness: of the thing, L.  Returns a Figure.
    """
    figure, axis = new_figure(width=1.9 * len(answers) + 1.2, height=2.5)
    for x, rows in enumerate(answers.values()):
        for y, row in enumerate(ROWS):
            ab = rows.get(row)
            shade = np.ones(3) if ab is None else one_colour(ab, lightness) / 255
            axis.add_patch(_patch((x + 0.04, y + 0.06), 0.92, 0.88, facecolor=shade, edgecolor="#555"))
            words = "not predicted" if ab is None else "({:.0f}, {:.0f})".format(*(np.round(ab) + 0.0))
            dark = ab is not None and lightness < 58
            axis.text(x + 0.5, y + 0.5, words, ha="center", va="center", color="white" if dark else "black", fontsize=9)
    axis.set(xlim=(0, len(answers)), ylim=(len(ROWS), 0))
    axis.set_xticks(np.arange(len(answers)) + 0.5, list(answers))
    axis.set_yticks(np.arange(len(ROWS)) + 0.5, ROWS)
    axis.tick_params(length=0)
    for side in axis.spines.values():
        side.set_visible(False)
    axis.set_title("colour as (a, b), ab units")
    return figure


def _patch(corner, width, height, **look):
    from matplotlib.patches import Rectangle

    return Rectangle(corner, width, height, **look)


def paint_bars(thing, answers):
    """Each paint's share by who says it: {objective: {row of ROWS: (C,) or None}}, a plot for each objective.

    thing: an OwnThing.  Returns a Figure.
    """
    figure, axes = new_figure(len(answers), width=4.2 * len(answers), height=2.8, squeeze=False)
    places, colours = np.arange(len(thing.names)), [one_colour(ab, np.mean(thing.lightness)) / 255 for ab in thing.ab]
    for axis, (objective, rows) in zip(axes[0], answers.items(), strict=True):
        for offset, row in zip((-0.27, 0, 0.27), ROWS, strict=True):
            if rows.get(row) is not None:
                bars = axis.bar(places + offset, rows[row], 0.26, color=colours, edgecolor="black", hatch=HATCHES[row])
                axis.bar_label(bars, fmt="%.2f", fontsize=7)
        axis.set(ylim=(0, 1.05), title=f"{objective}: shares of the paints")
        axis.set_xticks(places, thing.names)
    hatched = "left to right for each paint: predicted (crossed), theory (plain), network (striped)"
    figure.supxlabel(hatched, fontsize=8)
    return figure


def bin_bars(bins, answers, most=14):
    """The largest bins of two distributions, one up and one down: {objective: (theory (Q,), network (Q,))}.

    bins: (Q, 2) ab units.  A bar is as long as the probability, in the bin's colour.  Returns a Figure.
    """
    bins = np.asarray(bins)
    figure, axes = new_figure(len(answers), width=4.6 * len(answers), height=3.2, squeeze=False)
    for axis, (objective, (theory, network)) in zip(axes[0], answers.items(), strict=True):
        chosen = np.sort(np.argsort(-np.maximum(theory, network))[:most])
        places, colours = np.arange(len(chosen)), bin_colors(bins)[chosen]
        axis.bar(places, np.asarray(theory)[chosen], color=colours, edgecolor="black")
        axis.bar(places, -np.asarray(network)[chosen], color=colours, edgecolor="black", hatch="//")
        axis.axhline(0, color="black", linewidth=0.8)
        reach = 1.15 * max(np.max(theory), np.max(network))
        axis.set(ylim=(-reach, reach), title=f"{objective}: theory up, network down")
        axis.set_xticks(places, [f"{a:.0f}, {b:.0f}" for a, b in bins[chosen]], rotation=90, fontsize=7)
        axis.set_xlabel("bin: a, b", fontsize=8)
        axis.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.2f}")
    return figure

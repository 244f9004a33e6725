"""Figures of the network and of its training."""

from itertools import cycle

import numpy as np

from repro.pages.photographs import lightness_only, photographs
from repro.pages.show import COLORS, LINES, MARKERS, new_figure


def training_curves(histories):
    """Validation loss and rebalanced AuC against steps: {objective: list of dicts}.  Returns a Figure."""
    figure, axes = new_figure(3, width=9.6)
    for name, history in histories.items():
        for axis, field in zip(axes, ("validation_loss", "auc", "auc_rebalanced"), strict=True):
            values = [row[field] for row in history]
            if field == "validation_loss":
                values = [value / values[0] for value in values]
            axis.plot(
                [row["step"] for row in history],
                values,
                LINES[name],
                marker=MARKERS[name],
                markersize=3,
                color=COLORS[name],
                label=name,
            )
    for axis, title in zip(axes, ("validation loss, first = 1", "AuC", "rebalanced AuC"), strict=True):
        axis.set(title=title, xlabel="step")
    axes[0].legend(frameon=False)
    return figure


def expected_against_learned(comparisons, title):
    """Theory against network: a point for each colour's share, a mark of its own for each thing.

    They agree on the diagonal.  Returns a Figure.
    """
    figure, axes = new_figure(width=5.6, height=4.0)
    axes.plot([0, 1], [0, 1], color="#999", linewidth=0.8)
    axes.fill_between([0, 1], [-0.1, 0.9], [0.1, 1.1], color="#eee", zorder=0)
    for comparison, mark in zip(comparisons, cycle("os^vDPX*<>phd")):
        axes.plot(comparison.expected, comparison.learned, mark, markersize=5, label=comparison.thing)
        for name, x, y in zip(comparison.colours, comparison.expected, comparison.learned, strict=True):
            if abs(x - y) > 0.06:
                axes.annotate(
                    f"{comparison.thing}, {name}",
                    (x, y),
                    fontsize=6,
                    xytext=(3, 3),
                    textcoords="offset points",
                )
    axes.set(
        title=title,
        xlabel="share, as theory predicts",
        ylabel="share, as learned",
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
    )
    if comparisons:
        figure.legend(frameon=False, fontsize=7, loc="outside right upper", title="thing", title_fontsize=8)
    return figure


def network_plan(shapes):
    """The network's layers as boxes from input to output: {layer: (channels, height, width)}.

    A box's height is the resolution, its width the channels.  The x axis counts layers.  Returns a Figure.
    """
    figure, axis = new_figure(width=7.6, height=2.6)
    for place, (name, (channels, height, _)) in enumerate(shapes.items()):
        block = int(name[4]) if name.startswith("conv") else 0
        shade = "#d9e4ee" if block % 2 else "#f1e4d3"
        axis.bar(place, height, 0.25 + 0.65 * channels / 512, bottom=-height / 2, color=shade, edgecolor="#444")
        axis.text(place, height / 2 + 6, channels, ha="center", fontsize=6)
    axis.set(
        xticks=range(len(shapes)), xlim=(-0.7, len(shapes) - 0.3), ylim=(-150, 150), yticks=[],
        title="layers: height is resolution, width and number are channels",
    )  # fmt: skip
    axis.set_xticklabels(list(shapes), rotation=60, fontsize=7)
    axis.spines["left"].set_visible(False)
    return figure


def receptive_field(photo, name, field, stride):
    """What one output pixel of a layer can see: a square of `field` pixels around the photograph's middle.

    Returns a Figure.
    """
    size = photo.shape[0]
    low, high = size / 2 - field / 2, size / 2 + field / 2
    figure, axis = new_figure(width=3.6, height=3.6)
    axis.imshow(lightness_only(photo))
    axis.plot([low, high, high, low, low], [low, low, high, high, low], color="#d62828", linewidth=2)
    axis.set(xlim=(0, size), ylim=(size, 0), title=f"{name}: sees {field} px, a step is {stride} px")
    return figure


def layer_ratios(ratios):
    """Gradient ratios by layer, each divided by its geometric mean: {initialisation: {layer: ratio}}.

    Returns a Figure.
    """
    figure, axis = new_figure(width=7.5, height=3.2)
    for (name, values), marker, line in zip(ratios.items(), "xs^o", ("-.", ":", "--", "-"), strict=False):
        heights = np.array(list(values.values()))
        axis.semilogy(heights / np.exp(np.log(heights).mean()), line, marker=marker, markersize=4, label=name)
    axis.set(xticks=range(len(values)), title="mean squared gradient over mean squared weight, geometric mean = 1")
    axis.set_xticklabels(list(values), rotation=60, fontsize=7)
    axis.legend(frameon=False, fontsize=7)
    return figure


def feature_maps(features, title, columns=8):
    """A layer's first channels for one photograph: (C, h, w), each scaled to its own range.

    Returns a Figure.
    """
    maps = np.asarray(features[:columns], float)
    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    scaled = np.uint8(255 * (maps - low) / np.maximum(high - low, 1e-9))
    figure = photographs(list(scaled), [f"channel {n}" for n in range(len(maps))], height=1.1)
    figure.suptitle(title, fontsize=9, x=0.01, ha="left")
    return figure


def plan_bars(plans):
    """Hours of a training by machine: {name: `Estimate`}, hatched where its input is the limit.

    Returns a Figure.
    """
    figure, axis = new_figure(width=6, height=0.5 * len(plans) + 1.2)
    for place, found in enumerate(plans.values()):
        limited = found.limit == "input"
        axis.barh(place, found.hours, color="#777", hatch="///" if limited else None, edgecolor="white")
        rounded = lambda value: f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
        words = f" {rounded(found.hours)} h, {rounded(found.rate)} photographs/s"
        words += ", limited by its input" if limited else ""
        axis.text(found.hours, place, words, va="center", fontsize=8)
    axis.set_yticks(range(len(plans)), list(plans))
    axis.invert_yaxis()
    hours = [found.hours for found in plans.values()]
    room = (max(hours) / min(hours)) ** 0.7 + 30  # for the words
    axis.set(xscale="log", xlim=(min(hours) / 3, max(hours) * room), xlabel="hours", title="The paper's schedule")
    return figure

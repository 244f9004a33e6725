"""Figures of the ab plane: the gamut, the bins, distributions over them."""

import numpy as np
import torch

from repro.color import in_gamut, lab_to_rgb, srgb_ab_hull
from repro.pages.show import new_figure


def gamut(axes, bins=None, lightness=60.0, resolution=2.0):
    """The ab plane at one lightness, coloured where sRGB has the colour, with the hull and the bins."""
    ticks = torch.arange(-112, 113, resolution)
    b, a = torch.meshgrid(ticks, ticks, indexing="ij")
    lab = torch.stack((torch.full_like(a, lightness), a, b), -1)
    picture = torch.where(in_gamut(lab)[..., None], lab_to_rgb(lab), 1.0).numpy()
    axes.imshow(picture, origin="lower", extent=(-113, 113, -113, 113), interpolation="nearest")
    hull = np.vstack((srgb_ab_hull(), srgb_ab_hull()[:1]))
    axes.plot(*hull.T, color="#444", linewidth=0.8)
    if bins is not None:
        axes.plot(*np.asarray(bins).T, ".", color="#222", markersize=2)
    ab_axes(axes)


def ab_axes(axes):
    """Give axes the ab plane's limits and labels, in ab units."""
    axes.set(
        xlim=(-113, 113),
        ylim=(-113, 113),
        xlabel="a (green to magenta)",
        ylabel="b (blue to yellow)",
        aspect="equal",
    )


def bin_map(axes, bins, values, label="", logarithmic=False, size=26):
    """One value a bin, as the darkness of a square at the bin's place; white is none."""
    from matplotlib.colors import LogNorm

    values = np.asarray(values, float)
    norm = LogNorm(max(values[values > 0].min(), values.max() * 1e-5), values.max()) if logarithmic else None
    image = axes.scatter(
        *np.asarray(bins).T,
        c=np.where(values > 0, values, np.nan),
        marker="s",
        s=size,
        cmap="viridis_r",
        norm=norm,
    )
    axes.figure.colorbar(image, ax=axes, shrink=0.8, label=label)
    ab_axes(axes)


def bin_colors(bins, lightness=60.0):
    """An sRGB colour for each bin to draw it with: (Q, 3) in 0..1, clipped to the gamut."""
    bins = torch.as_tensor(np.asarray(bins), dtype=torch.float32)
    return lab_to_rgb(torch.cat((torch.full((len(bins), 1), lightness), bins), 1)).numpy()


def distribution(axes, bins, probabilities, lightness=60.0, scale=900):
    """A distribution over bins: a disc in the bin's own colour, its area the probability; the largest are labelled."""
    bins, probabilities = np.asarray(bins), np.asarray(probabilities, float)
    axes.scatter(*bins.T, s=2, color="#bbb")
    axes.scatter(*bins.T, s=scale * probabilities, c=bin_colors(bins, lightness), edgecolors="#333", linewidths=0.6)
    for index in np.argsort(-probabilities)[:5]:
        if probabilities[index] > 0.04:
            axes.annotate(f"{probabilities[index]:.2f}", bins[index], fontsize=7, ha="center", va="center")
    ab_axes(axes)


def answers_for_a_pixel(bins, probabilities, answers, lightness=60.0):
    """A predicted distribution over the ab plane, with what decodings make of it.

    bins: (Q, 2).  probabilities: (Q,).  answers: {name: ab (2,)}, drawn and named with a mark of their own.
    Returns a Figure.
    """
    figure, axis = new_figure(width=4.4, height=4.7)
    distribution(axis, bins, probabilities, lightness)
    for (name, ab), mark in zip(answers.items(), ("s", "D", "^", "*"), strict=False):
        label = f"{name} ({ab[0]:.0f}, {ab[1]:.0f})"
        axis.plot(*ab, mark, color="white", markeredgecolor="black", markersize=9, label=label, linestyle="none")
    figure.legend(frameon=False, fontsize=8, loc="outside upper center", ncols=2)
    return figure


def brushed_bins(bins, chosen, prior, weights):
    """What bins under a brush weigh among all: chosen (Q,) bool, prior and weights (Q,).  Returns a Figure."""
    prior, weights, chosen = (np.asarray(values) for values in (prior, weights, chosen))
    figure, axis = new_figure(width=4.2, height=3.6)
    seen = prior > 0
    axis.loglog(prior[seen], weights[seen], ".", color="#aaa", markersize=4, label="all seen bins")
    under = chosen & seen
    colors = bin_colors(bins)[under]
    axis.scatter(prior[under], weights[under], c=colors, edgecolors="black", s=45, zorder=3, label="under the brush")
    pull = prior * weights
    share, pull = prior[chosen].sum() / prior.sum(), pull[chosen].sum() / pull.sum()
    reach = f"weights {weights[chosen].min():.2f} to {weights[chosen].max():.2f}" if chosen.any() else "no bin here"
    counted = f"{chosen.sum()} bins, {under.sum()} of them seen" if chosen.any() else "0 bins"
    axis.set(
        xlabel="share of pixels",
        ylabel="weight",
        title=f"{counted}\n{reach}\n{share:.2%} of pixels, {pull:.2%} of the loss",
    )
    axis.legend(frameon=False, fontsize=8)
    return figure


def paired_shares(names, ab, first, second, title):
    """Two bars for each colour, the second hatched, with their numbers: shares (C,) of colours ab (C, 2).

    Returns a Figure.
    """
    figure, axis = new_figure(width=5.6, height=2.8)
    places, paints = np.arange(len(names)), bin_colors(ab)
    for offset, shares, hatch in ((-0.2, first, None), (0.2, second, "//")):
        bars = axis.bar(places + offset, shares, 0.38, color=paints, edgecolor="black", hatch=hatch)
        axis.bar_label(bars, fmt="%.2f", fontsize=7)
    axis.set(xticks=places, ylim=(0, 1), title=title)
    axis.set_xticklabels(names)
    return figure

"""Figures of what was measured."""

import numpy as np

from repro.pages.show import COLORS, LINES, MARKERS, new_figure


def error_curves(curves, title):
    """Share of pixels within t ab units of the truth: {name: (151,)}.  Returns a Figure."""
    figure, axes = new_figure(width=4.4, height=3.2)
    for name, curve in curves.items():
        axes.plot(np.arange(len(curve)), curve, linestyle=LINES.get(name, "-"), color=COLORS.get(name), label=name)
    axes.set(title=title, xlabel="t (ab units)", ylabel="share of pixels within t", xlim=(0, 150), ylim=(0, 1))
    axes.legend(frameon=False, loc="lower right")
    return figure


def accuracy_by_temperature(found):
    """Both AuC figures against temperature: {objective: {T: (plain, rebalanced)}}.  Returns a Figure."""
    figure, axes = new_figure(2, width=8, height=2.8)
    for which, (axis, title) in enumerate(zip(axes, ("AuC", "rebalanced AuC"), strict=True)):
        for name, values in found.items():
            heights = [pair[which] for pair in values.values()]
            axis.plot(list(values), heights, LINES[name], marker=MARKERS[name], color=COLORS[name], label=name)
        axis.axvline(0.38, color="#999", linewidth=0.8)
        axis.set(xlabel="temperature T", title=title)
    axes[0].legend(frameon=False)
    return figure


def intervals(table, title, label="share", differences=False):
    """Means with their intervals: {panel: {row: Interval}}, rows from top to bottom.  Returns a Figure.

    differences: between two methods; a line marks 0, and the numbers have a sign and one digit.
    """
    rows = list(next(iter(table.values())))
    figure, axes = new_figure(
        len(table), width=3.4 * len(table) + 0.8, height=0.34 * len(rows) + 1.1, sharex=differences, sharey=True,
        squeeze=False,
    )  # fmt: skip
    for axis, (panel, values) in zip(axes[0], table.items(), strict=True):
        if differences:
            axis.axvline(0, color="#999", linewidth=0.8, zorder=0)
        for place, (name, found) in enumerate(values.items()):
            reach = [[found.mean - found.low], [found.high - found.mean]]
            axis.errorbar(
                found.mean,
                place,
                xerr=reach,
                marker=MARKERS.get(name, "D"),
                color=COLORS.get(name, "black"),
                capsize=3,
            )
            axis.annotate(
                f"{found.mean:+.1f}" if differences else f"{found.mean:.3f}",
                (found.mean, place),
                (0, 6),
                textcoords="offset points",
                fontsize=7,
                ha="center",
            )
        axis.set_title(panel.rsplit("/", 1)[-1], fontsize=9)  # of a folder or a hub's name, the end
        axis.set(xlabel=label, yticks=range(len(rows)), yticklabels=rows, ylim=(len(rows) - 0.4, -0.7))
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    return figure


def winners_rows(differences):
    """Who is ahead of whom under which classifier: a table's header and rows, the intervals in points.

    differences: {classifier: {"A - B": {mean, low, high}}}, shares.  A name stands where the whole interval is on its
    side.
    """
    rows = []
    for pair in next(iter(differences.values())):
        found = [of_classifier[pair] for of_classifier in differences.values()]
        rows.append([pair, *(f"{in_points(one)}  {winner(pair, one)}" for one in found)])
    return ["difference", *(name.rsplit("/", 1)[-1] for name in differences)], rows


def winner(pair, found):
    """Whichever of the two of "A - B" an interval {low, high} is for; "open" if it leaves that open."""
    from repro.evaluation.paired import FAILS, HOLDS, verdict  # only pages that measured differences load it

    one, other = pair.split(" - ")
    return {HOLDS: one, FAILS: other}.get(verdict(found["low"], found["high"]), "open")


def told_from_truth(differences):
    """What classifiers' answers can say of the models: one sentence for each classifier.

    differences: as of `winners_rows`, "A - truth" of each model A among them; a classifier without one is left out.
    """
    sentences = []
    for classifier, pairs in differences.items():
        decided = {pair for pair, found in pairs.items() if winner(pair, found) != "open"}
        models = [pair.removesuffix(" - truth") for pair in pairs if pair.endswith(" - truth")]
        apart = [model for model in models if f"{model} - truth" in decided]
        of_two = [pair for pair in pairs if pair in decided and set(pair.split(" - ")) <= set(models)]
        name = classifier.rsplit("/", 1)[-1]
        if apart:
            sentences.append(f"{name}: its answers tell {' and '.join(apart)} from the truth.")
        elif models and of_two:
            sentences.append(f"{name}: its answers tell no model from the truth, but differ in {'; '.join(of_two)}.")
        elif models:
            sentences.append(
                f"{name}: its answers tell no model from the truth, nor one model from another. "
                "So they say nothing about the models' order."
            )
    return sentences


def won_back(hits, method, seed=0):
    """How much of what gray loses a method wins back: (method - gray) / (truth - gray), an Interval.

    hits: {method: which photographs are right, (N,) bool}, truth and gray among them.  All three are drawn together;
    a sample in which gray loses nothing counts as if it lost one photograph.
    """
    from repro.evaluation.intervals import resampled  # as `winner`

    gained, lost = (np.asarray(hits[name], float) - hits["gray"] for name in (method, "truth"))
    return resampled(lambda times: (times @ gained) / np.maximum(times @ lost, 1), len(lost), seed=seed)


def in_points(found):
    """A difference of shares {mean, low, high} with its interval, in points."""
    return "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * found[name] for name in ("mean", "low", "high")))


def layer_quality(found, title, label, chance=None):
    """Quality of linear probes by layer: a list of `LayerQuality`; points are means over seeds, bars their spread.

    chance: of a guess, drawn as a dotted line.  Returns a Figure.
    """
    layers = list(dict.fromkeys(row.layer for row in found))
    figure, axis = new_figure(width=6.4, height=3.4)
    for shift, name in enumerate(dict.fromkeys(row.network for row in found)):
        values = [[row.quality for row in found if (row.network, row.layer) == (name, layer)] for layer in layers]
        axis.errorbar(
            np.arange(len(layers)) + 0.06 * (shift - 2),
            [np.mean(v) for v in values],
            [np.std(v, ddof=1) if len(v) > 1 else 0 for v in values],
            color=COLORS.get(name, "#d08700"), linestyle=LINES.get(name, "-."), marker=MARKERS.get(name, "D"),
            markersize=4, capsize=2, label=name,
        )  # fmt: skip
    if chance is not None:
        axis.axhline(chance, color="#999", linewidth=0.8, linestyle=":", zorder=0)
    axis.set(title=title, ylabel=label, xticks=range(len(layers)), xticklabels=layers)
    axis.legend(frameon=False, fontsize=7, ncols=2)
    return figure

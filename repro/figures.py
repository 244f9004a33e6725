"""Pictures and demonstrations of the pages: functions that return a Figure, and how a page shows one.

Colour is never the only carrier of meaning: numbers stand beside every picture, every figure has a caption
and alt text.
"""

import base64
import html
import io

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import HTML, display

from repro.color import lab_to_rgb, lab_to_rgb8, srgb_ab_hull

STYLE = {
    "figure.dpi": 100,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "figure.constrained_layout.use": True,
    "image.interpolation": "nearest",
}
MARKERS = {"regression": "s", "classification": "o", "rebalanced": "^", "gray": "x", "random": "+"}
LINES = {"regression": ":", "classification": "--", "rebalanced": "-", "gray": "-.", "random": (0, (1, 4))}
COLORS = {
    "regression": "#b5651d",
    "classification": "#2a6f97",
    "rebalanced": "#7b2d8b",
    "gray": "#777777",
    "random": "#3a8f4d",
}


def new_figure(columns=1, rows=1, width=None, height=None, **options):
    """A Figure in the house style and its axes; sizes in inches."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            rows, columns, figsize=(width or 3.2 * columns, height or 2.8 * rows), **options
        )
    plt.close(figure)  # else the notebook shows it a second time, without caption
    return figure, axes


def to_png(figure):
    """PNG bytes of a Figure."""
    buffer = io.BytesIO()
    with plt.rc_context(STYLE):
        figure.savefig(buffer, format="png", dpi=figure.get_dpi())
    return buffer.getvalue()


def to_html(figure, caption, alt):
    """A Figure as one self-contained piece of HTML, with caption and alt text."""
    picture = base64.b64encode(to_png(figure)).decode()
    return (
        f'<figure style="margin:0"><img style="max-width:100%" alt="{html.escape(alt, quote=True)}" '
        f'src="data:image/png;base64,{picture}"><figcaption><em>{html.escape(caption)}</em></figcaption></figure>'
    )


def show(figure, caption, alt):
    """Show a Figure in the page with its caption and alt text."""
    display(HTML(to_html(figure, caption, alt)))


def show_table(header, rows, caption):
    """Show a table: header of strings, rows of strings or numbers; the first column to the left, the others to the right."""

    def line(tag, values):
        sides = ["left"] + ["right"] * (len(values) - 1)
        cells = zip(sides, map(_cell_text, values), strict=True)
        return (
            "<tr>"
            + "".join(f'<{tag} style="text-align:{side}">{text}</{tag}>' for side, text in cells)
            + "</tr>"
        )

    body = line("th", header) + "".join(line("td", row) for row in rows)
    display(HTML(f"<table><caption><em>{html.escape(caption)}</em></caption>{body}</table>"))


def _cell_text(value):
    if value is None:
        return "&mdash;"
    return html.escape(f"{value:.3f}" if isinstance(value, float) else str(value))


def slider_demo(draw, alt, **sliders):
    """A picture that follows its sliders: draw(**values) -> Figure.  Returns a widget.

    sliders: ipywidgets by the name of the parameter of `draw` that they set; a `Pointer` stands beside the
    picture, the others above. The picture is the PNG of an Image widget whose value is set by `observe`: no
    Output widget, which now and then hangs an unattended run.
    """
    import ipywidgets

    from repro.pointer import Pointer  # which draws with this file

    values = lambda: {name: slider.value for name, slider in sliders.items()}
    first = draw(**values())
    width = round(first.get_figwidth() * first.get_dpi())
    layout = {"width": f"{width}px", "max_width": "100%"}  # else JupyterLab stretches it to the page's width
    picture = ipywidgets.Image(value=to_png(first), format="png", layout=layout)
    picture.alt = alt

    places = [axes.get_position() for axes in first.axes]

    def redraw(change):
        figure = draw(**values())
        if len(figure.axes) == len(places):  # laid out once: nothing jumps while it is dragged
            figure.set_layout_engine("none")
            for axes, place in zip(figure.axes, places):
                axes.set_position(place)
        picture.value = to_png(figure)

    pointers = [slider for slider in sliders.values() if isinstance(slider, Pointer)]
    others = [slider for slider in sliders.values() if not isinstance(slider, Pointer)]
    for name, slider in sliders.items():
        slider.description = slider.description or name
        slider.observe(redraw, names="value")
    for slider in others:
        slider.continuous_update = True
        slider.style.description_width = "initial"
    wrapping = ipywidgets.Layout(flex_flow="row wrap", align_items="center")
    return ipywidgets.VBox([*others, ipywidgets.HBox([*pointers, picture], layout=wrapping)])


# ---- what is drawn ----


def gamut(axes, bins=None, lightness=60.0, resolution=2.0):
    """The ab plane at one lightness, coloured where sRGB has the colour, with the hull and the bins."""
    from repro.color import in_gamut

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
    """A distribution over bins: a disc in the bin's own colour, its area the probability; the largest are
    labelled."""
    bins, probabilities = np.asarray(bins), np.asarray(probabilities, float)
    axes.scatter(*bins.T, s=2, color="#bbb")
    axes.scatter(
        *bins.T, s=scale * probabilities, c=bin_colors(bins, lightness), edgecolors="#333", linewidths=0.6
    )
    for index in np.argsort(-probabilities)[:5]:
        if probabilities[index] > 0.04:
            axes.annotate(f"{probabilities[index]:.2f}", bins[index], fontsize=7, ha="center", va="center")
    ab_axes(axes)


def photographs(photos, titles=None, columns=None, height=1.7):
    """Photographs in a grid: list of (H, W, 3) or (H, W) uint8 arrays.  Returns a Figure."""
    columns = min(columns or len(photos), len(photos))
    rows = -(-len(photos) // columns)
    figure, axes = new_figure(
        columns, rows, width=height * 1.05 * columns, height=(height + 0.25) * rows, squeeze=False
    )
    for axis, photo, title in zip(axes.flat, photos, titles or [""] * len(photos)):
        axis.imshow(photo, cmap="gray", vmin=0, vmax=255)
        axis.set_title(title, fontsize=8, loc="center")
        axis.set(xticks=[], yticks=[])
        for side in axis.spines.values():  # a thin frame: a white mask ends where it ends, not with the page
            side.set(visible=True, color="#999", linewidth=0.5)
    for axis in axes.flat[len(photos) :]:
        axis.axis("off")
    return figure


def recolored(rgb8, ab):
    """A photograph with other colours: (H, W, 3) uint8 and ab (2, H/4, W/4) -> (H, W, 3) uint8."""
    from repro.colorizer import join

    return join(rgb8, ab)


def lightness_only(rgb8):
    """What the network is given, as a gray photograph: (H, W, 3) uint8 -> (H, W, 3) uint8."""
    from repro.color import rgb8_to_lightness

    lightness = torch.from_numpy(rgb8_to_lightness(rgb8))
    return lab_to_rgb8(torch.stack((lightness, torch.zeros_like(lightness), torch.zeros_like(lightness)), -1))


def training_curves(histories):
    """Validation loss and rebalanced AuC against steps: {objective: list of dicts}.  Returns a Figure."""
    figure, axes = new_figure(3, width=9.6)
    for name, history in histories.items():
        for axis, field in zip(axes, ("validation_loss", "auc", "auc_rebalanced")):
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
    for axis, title in zip(axes, ("validation loss, first = 1", "AuC", "rebalanced AuC")):
        axis.set(title=title, xlabel="step")
    axes[0].legend(frameon=False)
    return figure


def error_curves(curves, title):
    """Share of pixels within t ab units of the truth: {name: (151,)}.  Returns a Figure."""
    figure, axes = new_figure(width=4.4, height=3.2)
    for name, curve in curves.items():
        axes.plot(
            np.arange(len(curve)), curve, linestyle=LINES.get(name, "-"), color=COLORS.get(name), label=name
        )
    axes.set(
        title=title, xlabel="t (ab units)", ylabel="share of pixels within t", xlim=(0, 150), ylim=(0, 1)
    )
    axes.legend(frameon=False, loc="lower right")
    return figure


def expected_against_learned(comparisons, title):
    """Theory against network: a point for each colour's share, the diagonal where they agree.  Returns a
    Figure."""
    figure, axes = new_figure(width=4.2, height=4.0)
    axes.plot([0, 1], [0, 1], color="#999", linewidth=0.8)
    axes.fill_between([0, 1], [-0.1, 0.9], [0.1, 1.1], color="#eee", zorder=0)
    for comparison in comparisons:
        axes.plot(comparison.expected, comparison.learned, "o", markersize=4, label=comparison.thing)
        for name, x, y in zip(comparison.colours, comparison.expected, comparison.learned):
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
    return figure


def halves(left, right, percent):
    """Two pictures (H, W, 3) uint8 in one: the first to the left of a white line at `percent` of the width, the
    second to its right."""
    at = round(left.shape[1] * percent / 100)
    picture = np.concatenate((left[:, :at], right[:, at:]), 1)
    if 0 < at < picture.shape[1]:
        picture[:, max(0, at - max(1, picture.shape[1] // 160)) : at] = 255
    return picture


def network_plan(shapes):
    """The network's layers as boxes from input to output, heights and widths by resolution and channels:
    {layer: (channels, height, width)}.  The x axis counts layers.  Returns a Figure."""
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


def answers_for_a_pixel(bins, probabilities, answers, lightness=60.0):
    """A predicted distribution over the ab plane, with what decodings make of it.

    bins: (Q, 2).  probabilities: (Q,).  answers: {name: ab (2,)}, drawn and named with a mark of their own.
    Returns a Figure.
    """
    figure, axis = new_figure(width=4.4, height=4.7)
    distribution(axis, bins, probabilities, lightness)
    for (name, ab), mark in zip(answers.items(), ("s", "D", "^", "*")):
        label = f"{name} ({ab[0]:.0f}, {ab[1]:.0f})"
        axis.plot(*ab, mark, color="white", markeredgecolor="black", markersize=9, label=label, linestyle="none")
    figure.legend(frameon=False, fontsize=8, loc="outside upper center", ncols=2)
    return figure


def brushed_bins(bins, chosen, prior, weights):
    """What bins under a brush weigh among all: chosen (Q,) bool, prior and weights (Q,).  Returns a Figure."""
    prior, weights, chosen = (np.asarray(values) for values in (prior, weights, chosen))
    figure, axis = new_figure(width=4.0, height=3.6)
    seen = prior > 0
    axis.loglog(prior[seen], weights[seen], ".", color="#aaa", markersize=4, label="all bins")
    under = chosen & seen
    colors = bin_colors(bins)[under]
    axis.scatter(prior[under], weights[under], c=colors, edgecolors="black", s=45, zorder=3, label="under the brush")
    pull = prior * weights
    share, pull = prior[chosen].sum() / prior.sum(), pull[chosen].sum() / pull.sum()
    reach = f"weights {weights[chosen].min():.2f} to {weights[chosen].max():.2f}" if chosen.any() else "no bin here"
    axis.set(xlabel="share of pixels", ylabel="weight", title=f"{chosen.sum()} bins, {reach}\n{share:.2%} of pixels, {pull:.2%} of the loss")
    axis.legend(frameon=False, fontsize=8)
    return figure


def receptive_field(photo, name, field, stride):
    """What one output pixel of a layer can see: a square of `field` pixels around the photograph's middle.
    Returns a Figure."""
    size = photo.shape[0]
    low, high = size / 2 - field / 2, size / 2 + field / 2
    figure, axis = new_figure(width=3.6, height=3.6)
    axis.imshow(lightness_only(photo))
    axis.plot([low, high, high, low, low], [low, low, high, high, low], color="#d62828", linewidth=2)
    axis.set(xlim=(0, size), ylim=(size, 0), title=f"{name}: sees {field} px, a step is {stride} px")
    return figure


def layer_ratios(ratios):
    """Gradient ratios by layer, each divided by its geometric mean: {initialisation: {layer: ratio}}.
    Returns a Figure."""
    figure, axis = new_figure(width=7.5, height=3.2)
    for (name, values), marker, line in zip(ratios.items(), "xs^o", ("-.", ":", "--", "-")):
        heights = np.array(list(values.values()))
        axis.semilogy(heights / np.exp(np.log(heights).mean()), line, marker=marker, markersize=4, label=name)
    axis.set(
        xticks=range(len(values)), title="mean squared gradient over mean squared weight, geometric mean = 1"
    )
    axis.set_xticklabels(list(values), rotation=60, fontsize=7)
    axis.legend(frameon=False, fontsize=7)
    return figure


def paired_shares(names, ab, first, second, title):
    """Two bars for each colour, the second hatched, with their numbers: shares (C,) of colours ab (C, 2).
    Returns a Figure."""
    figure, axis = new_figure(width=5.6, height=2.8)
    places, paints = np.arange(len(names)), bin_colors(ab)
    for offset, shares, hatch in ((-0.2, first, None), (0.2, second, "//")):
        bars = axis.bar(places + offset, shares, 0.38, color=paints, edgecolor="black", hatch=hatch)
        axis.bar_label(bars, fmt="%.2f", fontsize=7)
    axis.set(xticks=places, ylim=(0, 1), title=title)
    axis.set_xticklabels(names)
    return figure


def accuracy_by_temperature(found):
    """Both AuC figures against temperature: {objective: {T: (plain, rebalanced)}}.  Returns a Figure."""
    figure, axes = new_figure(2, width=8, height=2.8)
    for which, (axis, title) in enumerate(zip(axes, ("AuC", "rebalanced AuC"))):
        for name, values in found.items():
            heights = [pair[which] for pair in values.values()]
            axis.plot(
                list(values), heights, LINES[name], marker=MARKERS[name], color=COLORS[name], label=name
            )
        axis.axvline(0.38, color="#999", linewidth=0.8)
        axis.set(xlabel="temperature T", title=title)
    axes[0].legend(frameon=False)
    return figure


def intervals(table, title, label="share"):
    """Means with their intervals: {panel: {row: Interval}}, rows from top to bottom.  Returns a Figure."""
    rows = list(next(iter(table.values())))
    figure, axes = new_figure(
        len(table), width=3.4 * len(table) + 0.8, height=0.34 * len(rows) + 1.1, sharey=True, squeeze=False
    )
    for axis, (panel, values) in zip(axes[0], table.items()):
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
                f"{found.mean:.3f}",
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


def layer_quality(found, title, label):
    """Quality of linear probes by layer: a list of `LayerQuality`; points are means over seeds, bars their
    spread.  Returns a Figure."""
    layers = list(dict.fromkeys(row.layer for row in found))
    figure, axis = new_figure(width=6.4, height=3.4)
    for shift, name in enumerate(dict.fromkeys(row.network for row in found)):
        values = [
            [row.quality for row in found if (row.network, row.layer) == (name, layer)] for layer in layers
        ]
        axis.errorbar(
            np.arange(len(layers)) + 0.06 * (shift - 2),
            [np.mean(v) for v in values],
            [np.std(v, ddof=1) if len(v) > 1 else 0 for v in values],
            color=COLORS.get(name, "#d08700"), linestyle=LINES.get(name, "-."), marker=MARKERS.get(name, "D"),
            markersize=4, capsize=2, label=name,
        )  # fmt: skip
    axis.set(title=title, ylabel=label, xticks=range(len(layers)), xticklabels=layers)
    axis.legend(frameon=False, fontsize=7, ncols=2)
    return figure


def feature_maps(features, title, columns=8):
    """A layer's first channels for one photograph: (C, h, w), each scaled to its own range.  Returns a
    Figure."""
    maps = np.asarray(features[:columns], float)
    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    scaled = np.uint8(255 * (maps - low) / np.maximum(high - low, 1e-9))
    figure = photographs(list(scaled), [f"channel {n}" for n in range(len(maps))], height=1.1)
    figure.suptitle(title, fontsize=9, x=0.01, ha="left")
    return figure


def plan_bars(plans):
    """Hours of a training by machine: {name: `Plan`}, hatched where its input is the limit.  Returns a
    Figure."""
    figure, axis = new_figure(width=6, height=0.5 * len(plans) + 1.2)
    for place, (name, found) in enumerate(plans.items()):
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

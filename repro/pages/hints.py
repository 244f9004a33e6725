"""What `python -m repro hints` found, as a table and as a figure."""

import numpy as np

from repro.pages.show import new_figure

FIGURES = {"auc": ("AuC (%)", 100), "auc_rebalanced": ("rebalanced AuC (%)", 100), "psnr": ("PSNR (dB)", 1)}


def hints_rows(results):
    """A table: its header, and a row for each number of hints of each collection, mean ± half of the 95 % interval."""
    rows = []
    for collection, methods in results["hints"].items():
        for method in (name for name in methods if name.endswith("hints")):
            kinds = methods[method], methods[f"{method}, no network"]
            cells = [_with_half(of[figure], scale) for figure, (_, scale) in FIGURES.items() for of in kinds]
            rows.append([f"{collection} ({results['photographs'][collection]:,})", method.split()[0], *cells])
    names = [title for title, _ in FIGURES.values()]
    return ["photographs", "hints", *(cell for name in names for cell in (name, "from gray"))], rows


def _with_half(found, scale):
    return f"{scale * found['mean']:.1f} ± {scale * (found['high'] - found['low']) / 2:.1f}"


def hints_table(results):
    """The table as Markdown, with what was measured."""
    run, (header, rows) = results["run"], hints_rows(results)
    first, *others = (f"| {' | '.join(row)} |" for row in (header, *rows))
    side = results["patch_pixels"]
    note = (
        f"± half of the 95 % interval over photographs. A hint is the mean true colour of {side} x {side} pixels at a "
        "random place; from gray: the same hints without a network. Measured "
        f"{run['date']} on {run['hardware']} with the weights `{results['model'].get('name', '')}`; seed "
        f"{run['seed']}, Python {run['python']}, torch {run['torch']}."
    )
    return "\n".join([first, "|---" * len(header) + "|", *others, "", note])


def hints_curves(results, collection):
    """Each figure against the number of hints, with 95 % intervals, from the network and from gray: a Figure."""
    methods = results["hints"][collection]
    numbers = [int(name.split()[0]) for name in methods if name.endswith("hints")]
    figure, axes = new_figure(3, 1, height=2.6)
    for axis, (figure_name, (title, scale)) in zip(axes, FIGURES.items(), strict=True):
        for ending, line, label in ((" hints", "o-", "from the network"), (" hints, no network", "x--", "from gray")):
            found = [methods[f"{number}{ending}"][figure_name] for number in numbers]
            mean, low, high = (scale * np.array([of[key] for of in found]) for key in ("mean", "low", "high"))
            spread = np.maximum([mean - low, high - mean], 0)
            color = "#7b2d8b" if line == "o-" else "#777777"
            axis.errorbar(np.arange(len(numbers)), mean, spread, fmt=line, color=color, capsize=2, label=label)
        axis.set(title=title, xlabel="hints", xticks=np.arange(len(numbers)), xticklabels=numbers)
    axes[0].legend(frameon=False, fontsize=8)
    return figure

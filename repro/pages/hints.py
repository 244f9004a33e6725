"""What `python -m repro hints` found, as a table and as a figure."""

import numpy as np

from repro.pages.outcomes import winner
from repro.pages.show import new_figure
from repro.pages.tables import markdown

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
    return ["photographs", "hints", *(cell for name in names for cell in (name, f"{name} from gray"))], rows


def _with_half(found, scale):
    return f"{scale * found['mean']:.1f} ± {scale * (found['high'] - found['low']) / 2:.1f}"


def _leads(results):
    """(collection, number of hints, {figure: {mean, low, high}}): the network less gray on the same photographs."""
    for collection, pairs in results.get("differences", {}).items():
        for pair, found in pairs.items():
            one, other = pair.split(" - ")
            if other == f"{one}, no network":
                yield collection, one.split()[0], found


def hints_leads(results):
    """How far the network is ahead of the same hints from gray: a table's header and rows, with 95 % intervals."""
    rows = [
        [
            f"{collection} ({results['photographs'][collection]:,})",
            number,
            *("{:+.2f} [{:+.2f}, {:+.2f}]".format(*(scale * of[figure][end] for end in ("mean", "low", "high")))
              for figure, (_, scale) in FIGURES.items()),
        ]
        for collection, number, of in _leads(results)
    ]  # fmt: skip
    return ["photographs", "hints", "AuC (points)", "rebalanced AuC (points)", "PSNR (dB)"], rows


def hints_in_words(results):
    """Who is ahead with how many hints, by the intervals of `hints_leads`: a sentence for each figure."""
    sentences = []
    for collection in results.get("differences", {}):
        for figure, (title, _) in FIGURES.items():
            ahead = {"the network is ahead": [], "gray is ahead": [], "the two are not distinguishable": []}
            names = dict(zip(("network", "gray", "open"), ahead, strict=True))
            for of, number, found in _leads(results):
                if of == collection:
                    ahead[names[winner("network - gray", found[figure])]].append(number)
            parts = [f"{who} with {', '.join(numbers)} hints" for who, numbers in ahead.items() if numbers]
            sentences.append(f"{collection}, {title.split(' (')[0]}: {'; '.join(parts)}.")
    return sentences


def hints_table(results):
    """The tables as Markdown, with what was measured."""
    run, lines = results["run"], []
    for header, rows in (hints_rows(results), hints_leads(results)):
        lines += [markdown(header, rows), ""]
    side = results["patch_pixels"]
    note = (
        "± half of the 95 % interval over photographs. The second table: how far the network is ahead on the same "
        f"photographs, with 95 % intervals. {' '.join(hints_in_words(results))} "
        f"A hint is the mean true colour of {side} x {side} pixels at a "
        "random place; from gray: the same hints without a network. Measured "
        f"{run['date']} on {run['hardware']} with the weights `{results['model'].get('name', '')}`; seed "
        f"{run['seed']}, Python {run['python']}, torch {run['torch']}."
    )
    return "\n".join([*lines, note])


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

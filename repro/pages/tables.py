"""Records under results/ as Markdown tables: temperatures, choices at test time, probes, coverage, single choices."""

FIGURES = {"auc": "AuC", "auc_rebalanced": "rebalanced AuC", "psnr": "PSNR (dB)", "colorfulness": "colourfulness"}
SHOWN = "0.38", "1"  # the paper's temperature and Caffe's, and the PyTorch release's


def markdown(header, rows):
    """A table as Markdown: column titles, and rows of cells as texts; None is an empty cell."""
    lines = [f"| {' | '.join(cell or '' for cell in row)} |" for row in (header, *rows)]
    return "\n".join([lines[0], "|---" * len(header) + "|", *lines[1:]])


def temperature_rows(results):
    """A header, and a row for each model of each collection.

    KL in nats a pixel, AuC in per cent, ± half of the 95 % interval.
    """
    header = ["photographs", "model", "T of the lowest KL", "lowest KL", "KL of the mean colours", "T = 1 less that"]
    header += [f"{figure} at T = {t}" for figure in ("KL", "AuC", "rebalanced AuC") for t in SHOWN]
    rows = [
        [
            f"{collection} ({results['photographs'][collection]:,})",
            name,
            scan["nearest"],
            _cell(scan["temperatures"][scan["nearest"]], "kl"),
            f"{scan['constant']:.2f}",
            "{mean:+.2f} [{low:+.2f}, {high:+.2f}]".format(**scan["over_constant"]),
            *(_cell(scan["temperatures"][t], figure) for figure in ("kl", "auc", "auc_rebalanced") for t in SHOWN),
        ]
        for collection, models in results["temperature"].items()
        for name, scan in models.items()
    ]
    return header, rows


def _cell(found, figure):
    values = found[figure]
    scale, digits = (1, 2) if figure == "kl" else (100, 1)
    return f"{scale * values['mean']:.{digits}f} ± {scale * (values['high'] - values['low']) / 2:.{digits}f}"


def temperature_table(results):
    """The same as Markdown."""
    header, rows = temperature_rows(results)
    run = results["run"]
    note = (
        "KL: the divergence of the predicted shares from soft targets of 10 neighbours, nats a pixel; the mean colours "
        "of the collection are what no network is needed for. AuC in per cent, of every 4th pixel of the copy that the "
        "network is shown. ± is half of the 95 % interval over photographs. "
        f"Measured {run['date']} on {run['hardware']}; torch {run['torch']}."
    )
    return f"{markdown(header, rows)}\n\n{note}"


def choices_table(results):
    """Each model's figures as it comes along, then what each change does to them, as Markdown."""
    header = ["model", "changed", *FIGURES.values()]
    rows = []
    for models in results["choices"].values():
        for name, found in models.items():
            rows.append([f"`{name}`", "**as it comes along**", *_figures(found["as it is"], "{0:.1f}")])
            rows += [
                ["", what, *_figures(lead, "{0:+.1f} [{1:+.1f}, {2:+.1f}]")] for what, lead in found["changes"].items()
            ]
    run, number = results["run"], ", ".join(f"{count:,}" for count in results["photographs"].values())
    note = (
        f"Of {number} validation photographs; AuC in per cent. A change's cells are its figure less the model's as it "
        "comes along, on the same photographs, with the 95 % interval. "
        f"Measured {run['date']} on {run['hardware']}; torch {run['torch']}."
    )
    return f"{markdown(header, rows)}\n\n{note}"


def probes_table(results):
    """Top-1 of linear classifiers on each network's frozen layers, the best layer with its interval, as Markdown."""
    rows = []
    for collection, probed in results["layers"].items():
        for name, found in probed["networks"].items():
            layers = [value for layer, value in found.items() if layer.startswith("conv")]
            best = "{} {:.1f} [{:.1f}, {:.1f}]".format(
                found["best_layer"], *(100 * found[key] for key in ("best", "low", "high"))
            )
            where = f"{collection} ({probed['test_photographs']:,} of {probed['classes']} classes)"
            rows.append([where, name, *(f"{100 * value:.1f}" for value in layers), best])
    header = ["photographs", "network", *(f"conv{number}" for number in range(1, len(rows[0]) - 2)), "best layer"]
    run, one = results["run"], next(iter(results["layers"].values()))
    note = (
        f"Top-1, per cent, of photographs that no model has seen; means of {one['seeds']} draws of {one['draw']:,} to "
        "learn from. The best layer is chosen on other photographs than it is tested on; its 95 % interval is of other "
        f"draws and other photographs. Measured {run['date']} on {run['hardware']}; torch {run['torch']}."
    )
    return f"{markdown(header, rows)}\n\n{note}"


def coverage_table(results):
    """How often intervals held what they are intervals of, in a simulation, as Markdown; a row for each kind."""
    sizes = results["coverage"]
    kinds = list(dict.fromkeys(kind for found in sizes.values() for kind in found))
    rows = [
        [kind, *(f"{found[kind]['covers']:.3f}" if kind in found else None for found in sizes.values())]
        for kind in kinds
    ]
    fixed, gray = "rebalanced AuC of gray, weights held fixed", "rebalanced AuC of gray"
    wider = [
        f"{found[fixed]['mean_width'] / found[gray]['mean_width']:.1f} times as wide over {what}"
        for what, found in sizes.items()
        if gray in found
    ]
    note = (
        "The share of simulated samples whose 95 % interval holds the true figure (`python -m benchmarks.coverage`). "
        f"With weights held fixed gray's interval is {'; '.join(wider)}. {results['run']['date']}."
    )
    return f"{markdown(['interval', *sizes], rows)}\n\n{note}"


TRIED = (  # of results/ablations.json: a choice, what it is compared with, and both in words
    ("rebalanced", "classification", "rebalancing, the paper's lambda of .5", "classification"),
    ("lambda_0", "classification", "rebalancing, lambda 0", "classification"),
    ("hard_classification", "classification", "hard targets", "soft ones"),
    ("classification", "he", "k-means initialisation", "He's"),
    ("classification", "gaussian", "k-means initialisation", "Gaussian, deviation .01"),
    ("unnormalized_kmeans", "unnormalized_he", "the same without batch normalisation", "He's"),
    ("unnormalized_kmeans", "unnormalized_gaussian", "the same without batch normalisation", "Gaussian, deviation .01"),
)


def ablations_table(results):
    """What single choices are worth, each training beside that without the choice, as Markdown."""
    from repro.pages.evidence import of_ablations  # classifiers and more, which the pages that keep numbers do without

    rows = []
    for one, other, choice, against in TRIED:
        found = of_ablations([(one, other)])
        for where in dict.fromkeys(lead.where for lead in found):
            cells = [
                "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * value for value in (lead.mean, lead.low, lead.high)))
                for lead in found
                if lead.where == where
            ]
            rows.append([choice, against, where, *cells])
    note = (
        "Points of AuC with 95 % intervals over photographs, by bootstrap; those of rebalanced AuC are taken twice as "
        "wide, as a bootstrap's hold less than they promise. Not paired: from two differences, which "
        f"makes the interval too wide. {results['trained_on']}; measured on {results['measured_on']}. "
        f"{results['date']}, {results['hardware']}."
    )
    return f"{markdown(['choice', 'against', 'training', 'AuC', 'rebalanced AuC'], rows)}\n\n{note}"


def _figures(found, form):
    """The cells of one row: each figure's mean, low and high in a format; empty where it was not measured."""
    scale = lambda figure: 100 if figure.startswith("auc") else 1
    ends = lambda figure: (scale(figure) * found[figure][name] for name in ("mean", "low", "high"))
    return [form.format(*ends(figure)) if figure in found else "" for figure in FIGURES]

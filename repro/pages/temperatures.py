"""What `python -m repro measure --scan-temperature` found, as a table."""

SHOWN = "0.38", "1"  # the paper's temperature and Caffe's, and the PyTorch release's


def temperature_rows(results):
    """A header, and a row for each model of each collection.

    KL in nats a pixel, AuC in per cent, ± half of the 95 % interval.
    """
    header = ["photographs", "model", "T of the lowest KL", "lowest KL", "KL of the mean colours"]
    header += [f"{figure} at T = {t}" for figure in ("KL", "AuC", "rebalanced AuC") for t in SHOWN]
    rows = [
        [
            f"{collection} ({results['photographs'][collection]:,})",
            name,
            scan["nearest"],
            _cell(scan["temperatures"][scan["nearest"]], "kl"),
            f"{scan['constant']:.2f}",
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
    first, *others = (f"| {' | '.join(row)} |" for row in (header, *rows))
    run = results["run"]
    note = (
        "KL: the divergence of the predicted shares from soft targets of 10 neighbours, nats a pixel; the mean colours "
        "of the collection are what no network is needed for. AuC in per cent, of every 4th pixel of the copy that the "
        "network is shown. ± is half of the 95 % interval over photographs. "
        f"Measured {run['date']} on {run['hardware']}; torch {run['torch']}."
    )
    return "\n".join([first, "|---" * len(header) + "|", *others, "", note])

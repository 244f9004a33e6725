"""python -m benchmarks [NAME...] [--json FILE]: a table of each figure beside its peer."""

import argparse
import importlib
import json
from datetime import date

import torch

from repro.files import write_atomically
from repro.pages.records import hardware

THEMES = ("encoding", "lab", "training", "memory", "prior", "colorizer", "crowded", "shards", "demos", "gpu", "fuzz")
COLUMNS = ("what", "ours", "beside", "takes", "so ours", "goal")


def measure(name, small=False):
    """The figures of one theme.  small: at the smallest size, for testing that it runs."""
    return importlib.import_module(f"benchmarks.{name}").run(small)


def table(figures):
    rows = [COLUMNS, *(figure.line() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    notes = [
        f"  {figure.name}: " + ", ".join(f"{name} {value:.3g}" for name, value in figure.notes.items())
        for figure in figures
        if figure.notes
    ]
    return "\n".join([lines[0], "-|-".join("-" * width for width in widths), *lines[1:], *dict.fromkeys(notes)])


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure each figure beside its peer, in one run."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(THEMES)} (all by default)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--small",
        action="store_true",
        help="smallest sizes, one round: to see that it runs; the figures mean nothing",
    )
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.names) - set(THEMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(THEMES)}")
    machine = {
        "date": date.today().isoformat(),
        "hardware": hardware(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    figures = {}
    for name in chosen.names or THEMES:
        figures[name] = measure(name, chosen.small)
        print(f"\n{name}\n{table(figures[name])}", flush=True)
    if chosen.json:
        record = machine | {
            "small": chosen.small,
            "figures": {name: [figure.record() for figure in rows] for name, rows in figures.items()},
        }
        write_atomically(chosen.json, (json.dumps(record, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()

"""Did a run reproduce the recorded one? Each recorded figure beside the run's, inside or outside a named range."""

from dataclasses import dataclass

from repro.evaluation.known_world import GOALS
from repro.kinds import OBJECTIVES
from repro.pages.evidence import read_result

HEADER = ["figure", "recorded", "this run", "range", "of what", "inside"]
PHOTOGRAPHS = "the recorded run's 95 % interval over photographs"


@dataclass(frozen=True)
class Compared:
    """One figure.  low, high: the range; None where none was recorded.  of: what the range is of, in words."""

    name: str
    recorded: float
    here: float
    low: float | None
    high: float | None
    of: str
    scale: float = 100.0

    @property
    def inside(self):
        """Whether this run's figure lies in the range; None without one."""
        return None if self.low is None else self.low <= self.here <= self.high

    def cells(self):
        """A row of the table, under HEADER."""
        digits = 1 if self.scale > 1 or max(self.recorded, self.here) >= 1 else 3
        text = lambda value: f"{self.scale * value:.{digits}f}"
        ends = None if self.low is None else f"{text(self.low)} to {text(self.high)}"
        word = {None: None, True: "inside", False: "OUTSIDE"}[self.inside]
        return [self.name, text(self.recorded), text(self.here), ends, self.of, word]


def spread_over_runs():
    """{figure: {"low", "high"}} that several recorded runs span, from results/spread.json; {} where there is none.

    The file holds {"runs": how many, "figures": {name of `compare`: {"low", "high"}}}.
    """
    found = read_result("spread")
    words = f"{found.get('runs')} recorded runs"
    return {name: {"of": words} | ends for name, ends in found.get("figures", {}).items()}


def same_settings(recorded, here):
    """Whether both runs are of the same kind of photographs, as many and as large, and of as long a training."""
    kinds = [
        [run["raw_accuracy"].get(name) for name in ("source", "photographs", "pixels")] for run in (recorded, here)
    ]
    samples = [{name: found["samples"] for name, found in run["training"].items()} for run in (recorded, here)]
    return kinds[0] == kinds[1] and samples[0] == samples[1]


def compare(recorded, here, spread=None):
    """[Compared] of what two runs (page 12's results) both measured; [] if their settings differ.

    spread: of `spread_over_runs`; it goes before every other range.
    """
    if not recorded or not same_settings(recorded, here):
        return []
    ours = {name: (value, scale) for name, value, scale, _ in _figures(here)}
    found = []
    for name, value, scale, (low, high, of) in _figures(recorded):
        if name in ours:
            over_runs = (spread or {}).get(name)
            ends = (over_runs["low"], over_runs["high"], over_runs["of"]) if over_runs else (low, high, of)
            found.append(Compared(name, value, ours[name][0], *ends, scale))
    return found


def _figures(run):
    """[(name, value, 100 for a share that is shown in per cent, (low, high, of what))] of a run."""
    found, none = [], (None, None, "no range was recorded")
    accuracy = run["raw_accuracy"]
    for method in ("gray", "random", *OBJECTIVES):
        for figure, words in (("auc", "AuC"), ("auc_rebalanced", "rebalanced AuC")):
            if figure in accuracy.get(method, {}):
                known = accuracy.get("intervals", {}).get(method, {}).get(figure)
                ends = (known["low"], known["high"], PHOTOGRAPHS) if known else none
                found.append((f"{words} of {method} (%)", accuracy[method][figure], 100, ends))
    for name, training in run["training"].items():
        if "largest_error" in training:
            unit = "ab units" if name == "regression" else "share"
            ends = 0.0, GOALS[name], "page 04's goal"
            found.append((f"furthest from theory, {name} ({unit})", training["largest_error"], 1, ends))
    for classifier, methods in run.get("semantic", {}).items():
        if isinstance(methods, dict) and classifier != "differences":
            for method, value in methods.items():
                ends = value["low"], value["high"], PHOTOGRAPHS
                found.append((f"top-1 of {classifier}, {method} (%)", value["mean"], 100, ends))
    for page, networks in run.get("probes", {}).items():
        for network, value in networks.items():
            if isinstance(value, dict) and "best" in value:
                words = "the recorded run's 95 % interval over seeds and photographs"
                ends = (value["low"], value["high"], words) if "low" in value else none
                found.append((f"probe of page {page[:2]}, {network} (%)", value["best"], 100, ends))
    return found


def answer(compared, recorded, here):
    """Did it reproduce? In words, a few lines."""
    if not recorded:
        return "Did it reproduce? There is no recorded run in results/classroom.json to compare with."
    if not compared:
        return f"Did it reproduce? Not asked: this run is of {_kind(here)}, the recorded one of {_kind(recorded)}."
    asked = [found for found in compared if found.inside is not None]
    outside = [found for found in asked if not found.inside]
    lines = [
        f"Did it reproduce? {'Not in full' if outside else 'Yes'}: {len(asked) - len(outside)} of {len(asked)} figures "
        "lie inside their range"
        + (f"; {len(compared) - len(asked)} more have no recorded range." if asked != compared else ".")
    ]
    for found in outside:
        name, then, now, ends, of, _ = found.cells()
        lines.append(f"  outside: {name} {now}, recorded {then}, {of} {ends}")
    kinds = dict.fromkeys(found.of for found in asked)
    lines.append(f"Compared with: {'; '.join(kinds) or 'nothing'}.")
    if PHOTOGRAPHS in kinds:
        lines.append(
            "An interval over photographs says how far other photographs would move a figure, not another run."
        )
    return "\n".join(lines)


def _kind(run):
    accuracy, samples = run["raw_accuracy"], next(iter(run["training"].values()), {}).get("samples", 0)
    pictures = "painted scenes" if accuracy.get("source") == "world" else "photographs"
    return f"{accuracy['photographs']} {pictures} of {accuracy['pixels']} px after {samples:,} training samples"


def in_text(compared):
    """The table as plain lines, for a terminal."""
    rows = [HEADER, *([cell or "-" for cell in found.cells()] for found in compared)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )

"""Did a run reproduce the recorded one? Each recorded figure beside the run's, inside or outside a named range."""

from dataclasses import dataclass

import numpy as np

from repro.evaluation.intervals import students_t
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
    """{figure: {"low", "high", "of"}} in which a run with another seed should lie; {} where none is known.

    From the trainings of results/known_answers.json, of five seeds in two precisions on one processor: the 95 %
    prediction interval of one more run, mean ± t s √(1 + 1/n); of the distance from theory, from 0 to the largest one.
    """
    runs, found = read_result("known_answers").get("runs", []), {}
    for objective in dict.fromkeys(run["objective"] for run in runs):
        same = [run for run in runs if run["objective"] == objective]
        of, count = f"{len(same)} recorded trainings", len(same)
        for figure, words in (("auc", "AuC"), ("auc_rebalanced", "rebalanced AuC")):
            values = np.array([run[figure] for run in same])
            reach = students_t(count - 1) * values.std(ddof=1) * np.sqrt(1 + 1 / count) if count > 1 else np.inf
            low, high = float(values.mean() - reach), float(values.mean() + reach)
            found[f"{words} of {objective} (%)"] = {"low": low, "high": high, "of": f"95 % of runs like {of}"}
        most = max(run["largest_error"] for run in same)
        found[_furthest_name(objective)] = {"low": 0.0, "high": most, "of": f"up to the furthest of {of}"}
    return found


def _furthest_name(objective):
    return f"furthest from theory, {objective} ({'ab units' if objective == 'regression' else 'share'})"


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
            ends = 0.0, GOALS[name], "page 04's goal"
            found.append((_furthest_name(name), training["largest_error"], 1, ends))
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

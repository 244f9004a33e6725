"""What the recorded results say of differences between methods, from every file in one form."""

import csv
import gzip
import io
import json
from dataclasses import dataclass, replace
from statistics import NormalDist

from repro import paths
from repro.colorizer.release import has_seen
from repro.evaluation.held_out import COMPARED, RECORDED_AS, VIVID, differences
from repro.evaluation.paired import unpaired_lead

DECODED = {
    "rebalanced": "annealed",
    "rebalanced, mode": "mode",
    "rebalanced, mean": "mean",
}  # a decoding's name in claims
FIXED = "weights held fixed"  # said of a source whose intervals of rebalanced AuC are mostly too wide
SEEN = (("truth", "classification"), ("gray", "random"))  # pairs that classifiers alone are asked about
RELEASE = "release"  # the method's name where the authors' weights were measured
WIDER = 2  # times: bootstrap intervals of rebalanced AuC
PERCENT = 0.01  # results/ablations.json is in per cent


@dataclass(frozen=True)
class Evidence:
    """One difference between two methods, with its 95 % interval, all of them shares: .01 is a point.

    figure: "auc", "auc_rebalanced", "top1", "chroma", "steps", "fooled", "seen" and "unseen" (probes), "ablation auc"
    and so on; chroma and steps as shares of the truth's.  pair: (A, B), the difference is A - B.  where: photographs,
    classifier, seed, or a layer, which a collection's name may stand before.  source: the file.
    theory: what theory says of it, in the painted world.  number: of the photographs.
    """

    figure: str
    pair: tuple
    where: str
    mean: float
    low: float
    high: float
    source: str
    theory: float | None = None
    number: int | None = None

    def of(self, pair):
        """The same, seen as the difference of this pair; None if it is of others."""
        if pair == self.pair:
            return self
        if pair[::-1] != self.pair:
            return None
        theory = None if self.theory is None else -self.theory
        mean, low, high = (0.0 - value for value in (self.mean, self.high, self.low))  # and no -0.0
        return replace(self, pair=pair, mean=mean, low=low, high=high, theory=theory)

    def widened(self, count):
        """(low, high) as wide as one of `count` intervals must be for all to hold together in 95 %.

        Bonferroni's correction by normal quantiles; of few raters or seeds, Student's would be wider still.
        """
        factor = NormalDist().inv_cdf(1 - 0.025 / count) / NormalDist().inv_cdf(0.975)
        return self.mean - factor * (self.mean - self.low), self.mean + factor * (self.high - self.mean)


def read_result(name):
    """results/<name>.json, or {} where there is none."""
    path = paths.RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _listed(source, where, pairs, theory=None):
    """[Evidence] of {"A - B": {figure: {mean, low, high}}}; where None: the figures are places of figure `theory`."""
    return [
        Evidence(figure, tuple(pair.split(" - ")), where, found["mean"], found["low"], found["high"], source,
                 theory(figure, pair.split(" - ")) if theory else None)
        for pair, figures in pairs.items()
        for figure, found in figures.items()
    ]  # fmt: skip


# ---- a run of the pipeline ----


def of_a_run(record, source):
    """[Evidence] in what page 12 kept of a run of the pipeline; source: the file's name."""
    accuracy = record.get("raw_accuracy", {})
    found = _listed(source, "", accuracy.get("differences", {}), _theory_of(accuracy))
    found = [replace(one, number=accuracy.get("photographs")) for one in found]
    decoding, semantic = record.get("decoding", {}), record.get("semantic", {})
    decoded = _listed(source, "", decoding.get("differences", {}))
    found += [replace(one, number=decoding.get("photographs")) for one in decoded]
    for classifier, pairs in semantic.get("differences", {}).items():
        listed = _listed(source, classifier, {pair: {"top1": interval} for pair, interval in pairs.items()})
        found += [replace(one, number=semantic.get("photographs")) for one in listed]
    for page, figure in (("09_task_generalization", "seen"), ("10_dataset_generalization", "unseen")):
        for pair, layers in record.get("probes", {}).get(page, {}).get("differences", {}).items():
            for layer, interval in layers.items():
                found += _listed(source, layer, {pair: {figure: interval}})
    return found + _fooled(record.get("realism", {}).get("people", {}), source)


def _theory_of(accuracy):
    """A function of a figure and two methods: how far a perfect network of one is ahead of the other's, or None."""

    def theory(figure, pair):
        known = accuracy.get("ideal", {})
        perfect = {name: known[name] if name in known else accuracy.get(name, {}) for name in pair}
        if not known or pair[0] not in known or not all(figure in values for values in perfect.values()):
            return None
        return perfect[pair[0]][figure] - perfect[pair[1]][figure]

    return theory


def _fooled(people, source):
    """Of the forced-choice study: each rater saw one method, so the two are not paired."""
    known = {name: (f["fooled"], f["error"], f["raters"]) for name, f in people.items() if f["raters"] > 1}
    pairs = {
        f"{one} - {other}": {"fooled": vars(unpaired_lead(known[one], known[other]))}
        for one, other in COMPARED
        if {one, other} <= set(known)
    }
    return _listed(source, "people", pairs)


# ---- held-out photographs ----


def read_rows(file):
    """The rows of a .csv.gz that `python -m repro measure` wrote, numbers as numbers; [] where there is no file."""
    if not file.exists():
        return []
    text = gzip.decompress(file.read_bytes()).decode()
    words = {"set", "photograph", "method"}
    return [
        {name: value if name in words else float(value) for name, value in row.items() if value}
        for row in csv.DictReader(io.StringIO(text))
    ]


def of_photographs(name, pairs=(*COMPARED, *VIVID, *SEEN)):
    """[Evidence] of results/<name>.json and its rows: an interval that the first holds is taken from there."""
    record, rows = read_result(name), read_rows(paths.RESULTS / f"{name}.csv.gz")
    known = _known(record)
    computed = _computed(rows, known, pairs)
    merged = {
        collection: {
            pair: intervals | known.get(collection, {}).get(pair, {})
            for pair, intervals in {**known.get(collection, {}), **computed.get(collection, {})}.items()
        }
        for collection in {**known, **computed}
    }
    return _as_evidence(merged, rows, f"{name}.csv.gz", known, record.get("photographs", {}))


def _known(record):
    """The differences of a record, as far as their intervals cover what they promise.

    Left out are those of rebalanced AuC where its intervals are of the earlier kind, a bootstrap (`auc_interval`).
    """
    if record.get("intervals") == RECORDED_AS:
        return record["differences"]
    return {
        collection: {
            pair: {figure: value for figure, value in found.items() if figure != "auc_rebalanced"}
            for pair, found in pairs.items()
        }
        for collection, pairs in record.get("differences", {}).items()
    }


def _has(found, pair):
    """Whether the differences of a collection hold both AuC figures of a pair of methods."""
    return "auc_rebalanced" in found.get(" - ".join(pair), {})


def _computed(rows, known, pairs):
    """What `differences` finds in rows beyond what is known, of the figures that claims are made of."""
    found = {}
    for collection in dict.fromkeys(row["set"] for row in rows):
        of_set = [row for row in rows if row["set"] == collection]
        for figure in of_set[0]:
            if figure in ("auc", "auc_rebalanced"):
                alone = ()
            elif figure in ("colorfulness", "steps"):
                alone = VIVID
            elif _is_top1(figure):
                alone = SEEN
            else:
                continue
            asked = [pair for pair in pairs if pair not in (*VIVID, *SEEN) or pair in alone]
            missing = [pair for pair in asked if figure not in known.get(collection, {}).get(" - ".join(pair), {})]
            kept = ("set", "method", "pixels", "rarity", figure)
            part = [{name: row[name] for name in kept if name in row} for row in of_set]
            for pair, intervals in differences(part, missing).get(collection, {}).items():
                found.setdefault(collection, {}).setdefault(pair, {}).update(intervals)
    return found


def _is_top1(figure):
    return figure.startswith("top1 ") and not figure.startswith("top1 of")


def of_probes():
    """[Evidence] of results/probes.json: frozen layers of the models that come along, on classes of photographs."""
    return [
        replace(one, number=probed.get("test_photographs"))
        for collection, probed in read_result("probes").get("layers", {}).items()
        for pair, layers in probed["differences"].items()
        for layer, interval in layers.items()
        for one in _listed("probes.json", f"{collection}, {layer}", {pair: {"seen": interval}})
    ]


def of_the_release():
    """[Evidence] of the authors' weights, where somebody has measured them: the method `release` in results/.

    Collections with photographs that these weights have seen say nothing of them and are left out.
    """
    found = []
    for file in sorted(paths.RESULTS.glob("*.csv.gz")):
        seen = {row["set"] for row in read_rows(file) if has_seen(row["photograph"])}
        found += [
            replace(one, pair=tuple(name.replace(RELEASE, "rebalanced") for name in one.pair))
            for one in of_photographs(file.name.removesuffix(".csv.gz"), ((RELEASE, "gray"), (RELEASE, "truth")))
            if RELEASE in one.pair and one.where.split(", ")[0] not in seen
        ]
    return found


def _as_evidence(pairs_of, rows, source, known, numbers):
    """[Evidence] of {set: {"A - B": {figure: interval}}}, colourfulness and steps as shares of the truth's.

    known: what of it was measured with the colours of every photograph at hand.  numbers: {set: its photographs}.
    """
    found = []
    for collection, pairs in pairs_of.items():
        number = numbers.get(collection)
        for one in _listed(source, collection, pairs):
            one = replace(one, number=number)
            shown = _NAMES.get(one.figure, one.figure)
            if shown in ("chroma", "steps"):
                of_truth = [row[one.figure] for row in rows if (row["set"], row["method"]) == (collection, "truth")]
                ends = {name: getattr(one, name) * len(of_truth) / sum(of_truth) for name in ("mean", "low", "high")}
                one = replace(one, figure=shown, **ends)
            elif _is_top1(shown):
                one = replace(one, figure="top1", where=f"{collection}, {shown.removeprefix('top1 ')}, 1,000 classes")
            elif shown not in ("auc", "auc_rebalanced"):
                continue
            elif shown == "auc_rebalanced" and not _has(known.get(collection, {}), one.pair):
                one = replace(one, source=f"{source}, {FIXED}")
            if {*one.pair} <= set(DECODED) and one.figure != "top1":
                one = replace(one, pair=tuple(DECODED[name] for name in one.pair))
            found.append(one)
    return found


_NAMES = {"colorfulness": "chroma"}  # what claims call a figure of `measure`


# ---- single choices ----


def of_ablations(pairs, named="ablation "):
    """[Evidence] of results/ablations.json for pairs of its models; named: what stands before a figure's name.

    The file has every model's difference from classification, by bootstrap.  Intervals of rebalanced AuC are taken
    twice as wide (`WIDER`), since a bootstrap's hold less than they promise (results/coverage.json).  That of two
    others is taken as if the two were independent, which makes its interval too wide rather than too narrow; `where`
    says so.
    """
    record = read_result("ablations")
    models = {(row["model"], row["seed"]): row for row in record.get("models", [])}
    return [
        _between(models[one, seed], models[other, seed], f"{named}{figure}", figure, record.get("photographs"))
        for one, other in pairs
        for seed in sorted({seed for _, seed in models})
        for figure in ("auc", "auc_rebalanced")
        if {(one, seed), (other, seed)} <= set(models)
    ]


def _between(one, other, name, figure, number):
    a, b = (row[f"{figure}_against_classification"] for row in (one, other))
    wider = WIDER if figure == "auc_rebalanced" else 1
    mean = a["difference"] - b["difference"]
    below, above = (
        wider * ((a["difference"] - a[near]) ** 2 + (b[far] - b["difference"]) ** 2) ** 0.5
        for near, far in (("low", "high"), ("high", "low"))
    )
    ends = (PERCENT * value for value in (mean, mean - below, mean + above))
    paired = "classification" in (one["model"], other["model"])
    where = f"64 px, seed {one['seed']}" + ("" if paired else ", not paired")
    return Evidence(name, (one["model"], other["model"]), where, *ends, "ablations.json", number=number)

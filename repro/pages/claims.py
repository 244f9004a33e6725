"""Which of the paper's claims hold here: each beside what was measured, with a verdict that follows from intervals."""

from dataclasses import asdict, dataclass
from functools import cached_property
from math import inf

from repro import paths
from repro.evaluation.paired import FAILS, HOLDS, OPEN, UNTESTED, together, verdict
from repro.files import write_atomically
from repro.pages import evidence, records

LEVEL = 0.01  # of AuC: the paper calls .4 points "about the same"; up to a point is level here
TRAINED_AGAIN = (("rebalanced", "classification"), ("classification", "regression"))  # for single choices, paired
VIVID = 0.1  # of the truth's colourfulness: as colourful as the truth
RULE = (
    "A claim says in which range a difference lies: above 0 for “ahead of”, within a point of AuC for “level”, within "
    "10 % of the truth's for “as colourful as”, above a point of AuC for “needed” (compare what classification gains "
    "over gray). It holds if the whole 95 % interval lies in that range, does not hold if none of it does, and is not "
    "distinguishable otherwise. With several intervals all must hold; one that does not refutes the claim, if it still "
    "does not when widened for so many intervals (Bonferroni, by normal quantiles). Not tested: no interval was "
    "measured. The verdict is that of the photographs; where these say nothing, that of the painted world, and it says "
    "so. Intervals are of other photographs, not of other trainings: each model was trained once, those of “64 px” "
    "once for each seed. Their intervals of rebalanced AuC are by bootstrap, which hold less than they promise, and so "
    "are taken twice as wide."
)


FIXED = (
    "Some intervals of rebalanced AuC on photographs hold the weights of the colours fixed, which mostly makes them "
    "too wide; `results/claims.json` says which."
)


@dataclass(frozen=True)
class Claim:
    """One claim: that the difference of each pair (A, B) in a figure lies between `least` and `most`.

    text: the claim, in words.  paper: its published figures, or what stands in their place.  places: where alone it
    is asked, as layers; everywhere if empty.
    """

    text: str
    paper: str
    figure: str
    pairs: tuple
    least: float = 0.0
    most: float = inf
    places: tuple = ()

    def found_in(self, evidences):
        """The Evidence that speaks of this claim, each as the difference of one of its pairs."""
        return [
            seen
            for pair in self.pairs
            for one in evidences
            if one.figure == self.figure and (not self.places or one.where.split(", ")[-1] in self.places)
            if (seen := one.of(pair))
        ]

    def judged(self, evidences):
        """{verdict, text, evidence} of a column of the table."""
        found = self.found_in(evidences)
        each = [self._verdict(one, len(found)) for one in found]
        rows = [asdict(one) | {"verdict": word} for one, word in zip(found, each, strict=True)]
        return {"verdict": together(each), "text": _in_words(found, each, self.pairs), "evidence": rows}

    def _verdict(self, one, count):
        """What one of `count` intervals says: all of them must hold, but any of so many may miss by chance."""
        word = verdict(one.low, one.high, self.least, self.most)
        return verdict(*one.widened(count), self.least, self.most) if word == FAILS else word


# ---- the claims ----


class Published:
    """Figures as published, from results/published.json."""

    @cached_property
    def found(self):
        """The file."""
        return evidence.read_result("published")

    def table(self, column, *methods):
        """A column of table 1: the first method's figure against the others', in words."""
        known = {row["key"]: row[column] for row in self.found["table_1"]}
        first, *others = (known[method] for method in methods)
        return f"{first} against {' and '.join(others)}"

    def probes(self, *networks, first=0):
        """Networks' top-1 layer by layer from the `first` on, in words."""
        known = self.found["probes"]["top_1"]
        return " against ".join(" ".join(known[network][first:]) for network in networks)

    def voc(self, *networks):
        """Networks' figures on PASCAL VOC 2007, in words."""
        kinds = self.found["probes"]["voc_2007"]
        known = {kind: found for kind, found in kinds.items() if set(networks) <= set(found)}
        cells = ((kind, [found[network] for network in networks]) for kind, found in known.items())
        return "; ".join(f"{' against '.join(values)} {kind}" for kind, values in cells)


def claims():
    """All claims of the table, in the paper's order."""
    paper = Published()
    return [*_raw_accuracy(paper), *_to_classifiers(paper), *_to_observers(paper), *_features(paper), *_training()]


def _raw_accuracy(paper):
    names = {"regression": "regression", "regression_finetuned": "fine-tuned regression", "gray": "gray"}
    names |= {"classification": "classification", "rebalanced": "rebalanced"}

    def ahead(one, other, figure, **limits):
        words = "is level with" if limits else "is ahead of"
        title = "rebalanced AuC" if figure == "auc_rebalanced" else "AuC"
        text = f"{names[one].capitalize()} {words} {names[other]} in {title}"
        figures = paper.table(figure, one, other)
        return Claim(text, figures, figure, ((one, other),), **limits)

    best = [ahead("rebalanced", other, "auc_rebalanced") for other in ("classification", "regression", "gray")]
    best += [ahead("rebalanced", "regression_finetuned", "auc_rebalanced")]
    level = {"least": -LEVEL, "most": LEVEL}
    return [
        *best,
        ahead("classification", "regression", "auc_rebalanced"),
        ahead("rebalanced", "gray", "auc", **level),
        ahead("classification", "gray", "auc"),
        ahead("regression", "gray", "auc"),
        ahead("classification", "regression", "auc"),
        ahead("regression_finetuned", "classification", "auc", **level),
    ]


def _to_classifiers(paper):
    """In which colours classifiers find the class more often."""

    def seen(words, one, other):
        text = f"Classifiers find the class more often in {words}"
        pair = one.replace("ground_truth", "truth"), other
        return Claim(text, paper.table("vgg_top1", one, other), "top1", (pair,))

    return [
        seen("rebalanced colours than in gray", "rebalanced", "gray"),
        seen("the colours of classification than in gray", "classification", "gray"),
        seen("the colours of regression than in gray", "regression", "gray"),
        seen("the photographs than in the colours of classification", "ground_truth", "classification"),
        seen("gray than in another photograph's colours", "gray", "random"),
        seen("the colours of classification than in rebalanced ones", "classification", "rebalanced"),
        seen("the colours of classification than in those of regression", "classification", "regression"),
        seen("rebalanced colours than in those of regression", "rebalanced", "regression"),
        seen("the colours of fine-tuned regression than in rebalanced ones", "regression_finetuned", "rebalanced"),
    ]


def _to_observers(paper):
    """What people and the eye say."""
    others = "classification", "regression", "regression_finetuned"
    fooled = paper.table("real", "rebalanced", *others)
    decoded, pictures = (("mode", "annealed"), ("annealed", "mean")), "pictures only"
    return [
        Claim(
            "People take rebalanced colours for real more often than those of classification and of either regression",
            fooled, "fooled", tuple(("rebalanced", other) for other in others),
        ),
        Claim("The annealed mean is paler than the mode and more vivid than the mean", pictures, "chroma", decoded),
        Claim("The annealed mean is less patchy than the mode and more so than the mean", pictures, "steps", decoded),
        Claim("The annealed mean has more AuC than the mode", "its gain; no figure", "auc", (("annealed", "mode"),)),
        Claim(
            "The annealed mean has more rebalanced AuC than the mode",
            "its gain; no figure", "auc_rebalanced", (("annealed", "mode"),),
        ),
        Claim("The annealed mean has less AuC than the mean", "its cost; no figure", "auc", (("mean", "annealed"),)),
        Claim(
            "The annealed mean has more rebalanced AuC than the mean",
            "its gain; no figure", "auc_rebalanced", decoded[1:],
        ),
        Claim("Regression's colours are paler than the truth", pictures, "chroma", (("truth", "regression"),)),
        Claim(
            "Rebalanced colours are as colourful as the truth",
            pictures, "chroma", (("rebalanced", "truth"),), least=-VIVID, most=VIVID,
        ),
    ]  # fmt: skip


def _features(paper):
    from_conv2 = tuple(f"conv{number}" for number in range(2, 9))
    voc = {start: paper.voc("colorization", start) for start in ("random", "k-means")}
    found = []
    for figure, where in (("seen", ""), ("unseen", ", on unseen data")):
        for start, places in (("random", ()), ("k-means", from_conv2)):
            layers = "layer by layer" if not places else "from conv2 on"
            figures = paper.probes("colorization", start, first=bool(places)) if figure == "seen" else voc[start]
            text = f"Frozen features of colouring are ahead of a {start} start's, {layers}{where}"
            found.append(Claim(text, figures, figure, (("rebalanced", start),), places=places))
    return found


def _training():
    starts = ("gaussian", "he")
    needed = {"figure": "ablation auc", "least": LEVEL}
    return [
        Claim("K-means initialisation is needed, with batch normalisation", "the release starts so; no figure",
              pairs=tuple(("classification", start) for start in starts), **needed),
        Claim("K-means initialisation is needed, without batch normalisation",
              "the paper's network has it; no figure",
              pairs=tuple(("unnormalized_kmeans", f"unnormalized_{start}") for start in starts), **needed),
        Claim("Soft targets give more rebalanced AuC than hard ones", "the paper's choice; no figure",
              "ablation auc_rebalanced",
              (("classification", "hard_classification"), ("rebalanced", "hard_rebalanced"))),
        Claim("Lambda .5 gives more rebalanced AuC than 1, which is classification",
              Published().table("auc_rebalanced", "rebalanced", "classification"), "ablation auc_rebalanced",
              (("rebalanced", "classification"),)),
        Claim("Lambda .5 gives more rebalanced AuC than 0", "the paper's choice; no figure", "ablation auc_rebalanced",
              (("rebalanced", "lambda_0"),)),
    ]  # fmt: skip


# ---- the table ----


def table(run=None):
    """What results/claims.json holds: the rule, the verdicts that there are, and a dict for each claim.

    Of a claim: claim, paper, world, photographs, authors (each {verdict, text, evidence}), verdict, and of: the column
    that it is taken from.  run: what page 12 kept of a run of the pipeline; None: the recorded ones.  A run on the
    painted world fills that column, another one adds to the photographs'.
    """
    painted = run is None or run["raw_accuracy"].get("source") == "world"
    world = evidence.of_a_run(run if run and painted else evidence.read_result("classroom"), "classroom.json")
    recorded = evidence.read_result("photographs") if painted else run
    observers = [one for one in evidence.of_a_run(recorded, "photographs.json") if not one.figure.startswith("auc")]
    listed = claims()
    single = [claim for claim in listed if claim.figure.startswith("ablation")]
    choices = evidence.of_ablations({frozenset(pair): pair for claim in single for pair in claim.pairs}.values())
    again = evidence.of_ablations(TRAINED_AGAIN, named="")
    photographs = [*evidence.of_photographs("shipped"), *again, *evidence.of_probes(), *observers, *choices]
    columns = {"world": world, "photographs": photographs, "authors": evidence.of_the_release()}
    rows = []
    for claim in listed:
        row = {"claim": claim.text, "paper": claim.paper}
        row |= {name: claim.judged(found) for name, found in columns.items()}
        tested = [name for name in ("photographs", "world") if row[name]["verdict"] != UNTESTED]
        row |= {"verdict": row[tested[0]]["verdict"] if tested else UNTESTED, "of": tested[0] if tested else ""}
        rows.append(row)
    fixed = any(evidence.FIXED in one.source for found in columns.values() for one in found)
    rule = f"{RULE} {FIXED}" if fixed else RULE
    return {"rule": rule, "verdicts": [HOLDS, FAILS, OPEN, UNTESTED], "claims": rows}


def _in_words(found, verdicts, pairs):
    """Intervals in points or per cent; of more than six how many hold, and the smallest and the largest."""
    if len(found) > 6:
        ends = min(found, key=lambda one: one.mean), max(found, key=lambda one: one.mean)
        counts = f"{verdicts.count(HOLDS)} of {len(found)} hold, {verdicts.count(FAILS)} do not"
        return f"{counts}; from {_interval(ends[0], pairs)} to {_interval(ends[1], pairs)}"
    return "; ".join(_interval(one, pairs) for one in found)


def _interval(one, pairs):
    collection, *rest = one.where.split(", ") if one.where else ["of"]
    number = "" if one.number is None else f" ({one.number:,})" if one.where else f" {one.number:,}"
    what = [f"{collection}{number}", *rest] if one.where or number else []
    if len(pairs) > 1:
        what.append(" - ".join(one.pair).replace("_", " "))
    theory = "" if one.theory is None else f", theory {100 * one.theory:+.1f}"
    digits = 2 if any(0 < abs(100 * value) < 0.05 for value in (one.low, one.high)) else 1  # which side of 0 it lies on
    ends = "{:+.{d}f} [{:+.{d}f}, {:+.{d}f}]".format(*(100 * v for v in (one.mean, one.low, one.high)), d=digits)
    return f"{', '.join(what)}{' ' if what else ''}{ends}{theory}"


def update():
    """Write results/claims.json from the other results and quote it, and them, in README and in the model card."""
    write_atomically(paths.RESULTS / "claims.json", records.as_json(table()))
    records.quote_everywhere()

"""How often raters take the photograph for the fake, how sure that is, and what a study of some size can tell.

Method (paper, section 3.1, perceptual realism): the share of pairs in which the rater names the photograph as
the fake.  A method that returned the photograph itself would fool in 50 %, but that is no ceiling: some
recolourings are chosen over the photograph more often (the paper's figure 6).

The authors' scripts exclude nobody; their catch trials, the truth against random colours, are the row "random".
Their +- is the deviation of a bootstrap on two levels, people and then pairs within a person (`two_level_error`).
Drawing pairs again adds what whole raters already vary by, so it is the larger one: at 40 people of 36 pairs
whose own shares have a deviation of .085 it is .021, where the standard error over raters is .018.

The intervals here are Student's t over raters, since one rater's answers belong together.  A percentile bootstrap
over few raters is too narrow, as a simulation shows (`results/coverage.json`: share .323, deviation .085 of people,
36 pairs).
"""

from dataclasses import dataclass
from itertools import groupby

import numpy as np
from scipy import optimize, stats

CATCH_LEAST = 0.0  # of the catch trials that a rater must get right: as in the paper, nobody is excluded
CHANCE = 0.5


@dataclass(frozen=True)
class Rater:
    """One rater's main block.

    share: fooled, 0..1, catch trials left out; catch_right: 0..1, 1 if there were none; answers: of `planned`, catch
    trials included.
    """

    method: str
    share: float
    trials: int
    catch_right: float
    answers: int
    planned: int


@dataclass(frozen=True)
class Fooled:
    """One method: share fooled, its standard error over raters and 95 % interval (low, high), all 0..1.

    raters, trials: counted; excluded: failed the catch trials; incomplete: stopped too early.  two_level: the
    error as the authors compute theirs, to stand beside it.  All errors are nan with fewer than two raters.
    """

    method: str
    share: float
    error: float
    low: float
    high: float
    raters: int
    trials: int
    excluded: int
    incomplete: int
    two_level: float = float("nan")


def raters_of(rows):
    """Rows (see `database.read_rows`) to {rater: Rater}.  Raises ValueError for rows of more than one kind."""
    kinds = {row["kind"] for row in rows}
    if len(kinds) > 1:
        raise ValueError(
            f"these answers are {' and '.join(sorted(kinds))}: they must not be mixed in one result; give one kind"
        )
    ordered = sorted((row for row in rows if not row["practice"]), key=lambda row: row["rater"])
    return {rater: _rater(list(answers)) for rater, answers in groupby(ordered, lambda row: row["rater"])}


def fooled(rows, least_answers=None, catch_least=CATCH_LEAST, samples=2000, seed=0):
    """The share fooled of each method, most fooling first: list of Fooled.

    rows: of a Store, all of one kind.  A rater counts with all planned pairs answered, or at least
    `least_answers` of them, and `catch_least` (0..1) of the catch trials right; see `catch_cost` before raising
    it from 0, where nobody is excluded.  Each rater weighs the same.  samples: of the two-level bootstrap.
    Raises ValueError for rows of both kinds.
    """
    raters = raters_of(rows).values()
    results = []
    for method in sorted({rater.method for rater in raters}):
        of_method = [rater for rater in raters if rater.method == method]
        complete = [rater for rater in of_method if rater.answers >= (least_answers or rater.planned)]
        counted = [rater for rater in complete if rater.catch_right >= catch_least and rater.trials]
        shares, trials = (np.array([getattr(rater, name) for rater in counted]) for name in ("share", "trials"))
        results.append(
            Fooled(
                method,
                *_interval(shares, trials),
                two_level=two_level_error(shares, trials, samples, seed),
                raters=len(counted),
                trials=sum(rater.trials for rater in counted),
                excluded=len(complete) - len(counted),
                incomplete=len(of_method) - len(complete),
            )
        )
    return sorted(results, key=lambda result: -result.share if result.raters else 1)


def random_fooled(rows, samples=2000, seed=0):
    """The paper's row "random": share of catch trials in which the photograph was named, a Fooled.

    Over every rater who answered all pairs, also any whom `fooled` was told to exclude.
    """
    complete = {name for name, rater in raters_of(rows).items() if rater.answers >= rater.planned}
    catch = {}
    for row in rows:
        if row["catch"] and not row["practice"] and row["rater"] in complete:
            catch.setdefault(row["rater"], []).append(bool(row["fooled"]))
    shares = np.array([np.mean(answers) for answers in catch.values()])
    trials = np.array([len(answers) for answers in catch.values()], int)
    error = two_level_error(shares, trials, samples, seed)
    return Fooled("random", *_interval(shares, trials), len(shares), int(trials.sum()), 0, 0, error)


@dataclass(frozen=True)
class Chosen:
    """How often one recoloured photograph was taken for the real one: share of its trials, 95 % interval, 0..1."""

    photograph: str
    share: float
    low: float
    high: float
    trials: int


def by_photograph(rows, method, least=10):
    """The photographs of a method, those that fooled most first: list of Chosen (paper, figure 6).

    rows: of a Store, all of one kind; practice and catch trials do not count.  least: trials that a photograph must
    have; the authors keep those with more than ten.  The interval is Wilson's, as if each answer were another person's.
    """
    answers = {}
    for row in rows:
        if row["method"] == method and not row["practice"] and not row["catch"]:
            answers.setdefault(row["photograph"], []).append(bool(row["fooled"]))
    found = []
    for photograph, fooled_by in answers.items():
        if len(fooled_by) >= least:
            wilson = stats.binomtest(sum(fooled_by), len(fooled_by)).proportion_ci(method="wilson")
            found.append(Chosen(photograph, float(np.mean(fooled_by)), wilson.low, wilson.high, len(fooled_by)))
    return sorted(found, key=lambda one: (-one.share, one.photograph))


def two_level_error(shares, trials, samples=2000, seed=0):
    """The authors' +-: deviation of a mean over raters when people are drawn again, and each one's pairs again.

    shares: (n,) of each rater, 0..1.  trials: (n,) pairs of each.  nan for n < 2.
    """
    if len(shares) < 2:
        return float("nan")
    rng = np.random.default_rng(seed)
    people = rng.integers(0, len(shares), (samples, len(shares)))
    return float((rng.binomial(trials[people], shares[people]) / trials[people]).mean(1).std(ddof=1))


def catch_cost(right, trials=4, least=0.75):
    """What excluding by catch trials costs: (share of attentive raters excluded, of coin-flippers kept).

    right: how often an attentive rater gets a catch trial right, 0..1, .87 in the paper.  trials: catch trials of
    a rater.  least: share of them that must be right.
    """
    needed = int(np.ceil(least * trials - 1e-9))
    return float(stats.binom.cdf(needed - 1, trials, right)), float(stats.binom.sf(needed - 1, trials, 0.5))


def spread_of_published(share, error, raters=40, trials=36):
    """How much people differ by themselves, from a published share and its two-level +-: a standard deviation.

    share, error: 0..1.  raters: of the method.  trials: of each, catch trials not counted; the paper's numbers by
    default.  The square of the +- is (spread^2 + 2 share (1 - share) / trials) / raters; 0 if nothing is left.
    """
    return float(np.sqrt(max(raters * error**2 - 2 * share * (1 - share) / trials, 0)))


def spread(rows, catch_least=CATCH_LEAST):
    """How much raters differ by themselves: standard deviation of their true shares, pooled over methods.

    What is left of the variance of shares once the binomial part, share (1 - share) / (trials - 1), is taken
    off; 0 if nothing is.  rows: of a Store.  nan with fewer than two raters of any method.
    """
    raters = raters_of(rows).values()
    counted = [r for r in raters if r.answers >= r.planned and r.catch_right >= catch_least and r.trials > 1]
    total, freedom = 0.0, 0
    for method in {rater.method for rater in counted}:
        of_method = [rater for rater in counted if rater.method == method]
        shares = np.array([rater.share for rater in of_method])
        binomial = np.mean([rater.share * (1 - rater.share) / (rater.trials - 1) for rater in of_method])
        if len(shares) > 1:
            total += (len(shares) - 1) * (shares.var(ddof=1) - binomial)
            freedom += len(shares) - 1
    return float(np.sqrt(max(total / freedom, 0))) if freedom else float("nan")


# ---- how many raters it takes ----


def power(share, raters, trials=36, reference=CHANCE, spread=0.1, level=0.05, methods=1):
    """How likely a study tells a true share from a reference: 0..1, two-sided t-test over raters' shares.

    share, reference: 0..1.  raters: of each method, at least 2.  trials: of each rater, catch trials not
    counted.  spread: standard deviation between raters' true shares (beta-binomial), 0..sqrt(p (1 - p)); the
    paper's figures say .09 to .15 for its methods (`spread_of_published`).
    methods: 1 for a fixed reference as chance; 2 when the reference is another method's measured share, from
    as many raters.  level: of the test.

    A rater's share varies by spread^2 + (p (1 - p) - spread^2) / trials; t is then noncentral with
    |share - reference| / standard error, averaged here over quantiles of its chi-square.
    """
    _check_power(share, raters, trials, reference, level)
    variance = _variance(share, trials, spread) + (_variance(reference, trials, spread) if methods == 2 else 0)
    freedom = methods * (raters - 1)
    critical = stats.t.ppf(1 - level / 2, freedom)
    if variance == 0:
        return float(share != reference)
    shift = abs(share - reference) / np.sqrt(variance / raters)
    chi = np.sqrt(stats.chi2.ppf((np.arange(2000) + 0.5) / 2000, freedom) / freedom)
    return float((stats.norm.cdf(shift - critical * chi) + stats.norm.cdf(-shift - critical * chi)).mean())


def detectable(raters, trials=36, reference=CHANCE, spread=0.1, level=0.05, wanted=0.8, methods=1):
    """The smallest difference below `reference` that is told with power `wanted`: 0..reference, nan if none is.

    Sought down to the share at which raters can still differ by `spread`, spread^2 = p (1 - p).

    With 12 raters of 36 trials: `reference - detectable(12)` is the highest share that can be told from 50 %.
    The rest as in `power`.
    """
    missing = lambda difference: (
        power(reference - difference, raters, trials, reference, spread, level, methods) - wanted
    )
    least = max((1 - np.sqrt(max(1 - 4 * spread**2, 0))) / 2, 1e-6)
    most = reference - least
    found = most > 0 and missing(most) > 0
    return float(optimize.brentq(missing, 0, most, xtol=1e-6)) if found else float("nan")


def raters_needed(share, trials=36, reference=CHANCE, spread=0.1, level=0.05, wanted=0.8, methods=1, most=10000):
    """How many raters of each method tell `share` from `reference` with power `wanted`; None if `most` do not.

    The rest as in `power`.
    """
    if power(share, most, trials, reference, spread, level, methods) < wanted:
        return None
    low, high = 1, most  # low is too few, high enough
    while high - low > 1:
        middle = (low + high) // 2
        enough = power(share, middle, trials, reference, spread, level, methods) >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return high


def table(results, kind):
    """The results (list of Fooled) of human or simulated raters as text, ground truth first."""
    lines = [
        f"{kind} raters",
        f"{'method':28} {'fooled':>8} {'SE':>6} {'95 % interval':>15} {'raters':>7} {'trials':>7}",
    ]
    lines.append(f"{'ground truth':28} {'50.0 %':>8} {'':>6} {'by construction':>15}")
    for result in results:
        interval = f"{100 * result.low:.1f} - {100 * result.high:.1f}"
        lines.append(
            f"{result.method:28} {100 * result.share:6.1f} % {100 * result.error:6.1f} {interval:>15} "
            f"{result.raters:7} {result.trials:7}"
        )
    excluded, incomplete = (sum(getattr(r, name) for r in results) for name in ("excluded", "incomplete"))
    lines.append(f"left out: {excluded} who failed the catch trials, {incomplete} who did not finish")
    lines.append(
        "SE and interval are over raters. In its 50 % the truth is no ceiling: a recolouring may be chosen more often."
    )
    return "\n".join(lines)


def _rater(answers):
    catch = [not row["fooled"] for row in answers if row["catch"]]
    shown = [bool(row["fooled"]) for row in answers if not row["catch"]]
    return Rater(
        method=answers[0]["method"],
        share=float(np.mean(shown)) if shown else float("nan"),
        trials=len(shown),
        catch_right=float(np.mean(catch)) if catch else 1.0,
        answers=len(answers),
        planned=answers[0]["planned"],
    )


def _interval(shares, trials):
    """(mean, standard error, low, high) of (n,) raters' shares of (n,) trials by Student's t; nan where n < 2.

    Raters cannot vary less than coins would: their variance counts as at least p (1 - p) / trials, with two
    answers of each kind added (Agresti and Coull 1998), so raters who happen to agree do not make an error of 0.
    """
    if len(shares) < 2:
        return (float(shares.mean()) if len(shares) else float("nan"), *(float("nan"),) * 3)
    mean, number = float(shares.mean()), int(trials.sum())
    likely = (mean * number + 2) / (number + 4)
    variance = max(shares.var(ddof=1), likely * (1 - likely) / trials.mean())
    error = float(np.sqrt(variance / len(shares)))
    reach = float(stats.t.ppf(0.975, len(shares) - 1)) * error
    return mean, error, max(mean - reach, 0.0), min(mean + reach, 1.0)


def _variance(share, trials, spread):
    """Of one rater's measured share.  Raters cannot differ more than a share allows: spread^2 <= p (1 - p)."""
    within = share * (1 - share)
    between = min(spread**2, within)
    return between + (within - between) / trials


def _check_power(share, raters, trials, reference, level):
    if not (0 <= share <= 1 and 0 <= reference <= 1 and 0 < level < 1):
        raise ValueError("share and reference must lie in 0..1, level between 0 and 1")
    if raters < 2 or trials < 1:
        raise ValueError(f"needs at least 2 raters and 1 trial, got {raters} and {trials}")

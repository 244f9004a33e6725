"""Exercise 08: how far a mean would move with other raters."""

import torch

from repro.checks.exercises.exercise import Exercise, double


def bootstrap_error(shares, draws):
    """shares (N,) float64; draws (B, N) int64 -> the deviation (with n - 1) of the draws' means, a number."""
    return shares[draws].mean(1).std()


# ---- cases ----


def _drawn(rng, raters, experiments):
    return double(rng.uniform(0.05, 0.7, raters)), torch.tensor(rng.integers(0, raters, (experiments, raters)))


def _agreed(rng, share):
    return double([share] * 5), torch.tensor(rng.integers(0, 5, (6, 5)))


def draw(rng):
    """Two experiments; as many as raters, more and fewer; raters who all agree; a rater who was never fooled."""
    never = _drawn(rng, 4, 9)
    never[0][0] = 0
    all_or_none = double(rng.permutation([0, 0, 1, 1, 1])), torch.tensor(rng.integers(0, 5, (7, 5)))
    return [
        ("the two raters by hand", (double([0.2, 0.6]), torch.tensor([[0, 0], [0, 1], [1, 1]]))),
        ("two raters, two experiments", (double([0, 0.5]), torch.tensor([[0, 1], [0, 0]]))),
        ("three raters, two experiments", (_drawn(rng, 3, 2)[0], torch.tensor([[0, 0, 1], [2, 2, 1]]))),
        (
            "four raters, four experiments",
            (_drawn(rng, 4, 4)[0], torch.tensor([[0, 1, 1, 3], [2, 2, 0, 1], [3, 3, 3, 0], [1] * 4])),
        ),
        ("a rater who was never fooled", never),
        ("raters who were fooled always or never", all_or_none),
        *((f"five raters who agree, {share}", _agreed(rng, share)) for share in (0.1, 0.3, 0.35, 0.6, 0.7)),
        ("six raters, three experiments", _drawn(rng, 6, 3)),
        ("seven raters, 40 experiments", _drawn(rng, 7, 40)),
        ("thirty raters, 400 experiments", _drawn(rng, 30, 400)),
    ]


# ---- mistakes ----


def _of_means(scale):
    """The right deviation, changed by scale(error, draws)."""
    return lambda x, draws: scale(bootstrap_error(x, draws), draws)


def _n(result, count):
    """A deviation with n - 1 as one with n."""
    return result * ((count - 1) / count) ** 0.5


def _half_interval(x, draws):
    low, high = torch.quantile(x[draws].mean(1), torch.tensor([0.16, 0.84], dtype=x.dtype))
    return (high - low) / 2


def _repeats_dropped(x, draws):
    return torch.stack([x[row.unique()].mean() for row in draws]).std()


def _about_the_raters(x, draws):
    return ((x[draws].mean(1) - x.mean()) ** 2).mean() ** 0.5


def _differences_of_squares(x, draws):
    means = x[draws].mean(1).numpy()
    variance = ((means**2).mean() - means.mean() ** 2) * len(means) / (len(means) - 1)
    return variance**0.5 if variance >= 0 else float("nan")


EXERCISE = Exercise(
    bootstrap_error,
    ("shares", "draws"),
    ("error",),
    draw,
    {
        "the deviation divides by n; with n - 1 it is the one of the example": _of_means(
            lambda e, draws: _n(e, len(draws))
        ),
        "this is how single raters scatter, over all draws; take each draw's mean first": (
            lambda x, draws: x[draws].std(),
            lambda x, draws: x[draws].std(correction=0),
        ),
        "mean and deviation are over the wrong axes: a row of draws is one experiment": (
            lambda x, draws: x[draws].mean(0).std(),
            lambda x, draws: x[draws].mean(0).std(correction=0),
        ),
        "this is the textbook's s / sqrt(N); here the given draws are to decide": (
            lambda x, draws: x.std() / len(x) ** 0.5,
            lambda x, draws: x.std(correction=0) / len(x) ** 0.5,
        ),
        "this is the raters' own deviation; nothing was drawn": (
            lambda x, draws: x.std(),
            lambda x, draws: x.std(correction=0),
        ),
        "divided by the root of the number once more; the spread of the draws' means is the error already": _of_means(
            lambda e, draws: e / draws.shape[1] ** 0.5
        ),
        "divided by the root of the number of draws: more draws do not make raters surer": _of_means(
            lambda e, draws: e / len(draws) ** 0.5
        ),
        "this is the mean of the draws' deviations; the error is the deviation of their means": (
            lambda x, draws: x[draws].std(1).mean(),
            lambda x, draws: x[draws].std(1, correction=0).mean(),
        ),
        "this is the variance; the error is its root": _of_means(lambda e, draws: e**2),
        "these are the draws' sums; the error is of their means": _of_means(lambda e, draws: e * draws.shape[1]),
        "this is the mean of the draws; the error is how far their means scatter": lambda x, draws: x[draws].mean(),
        "a draw's median stands for its mean": lambda x, draws: x[draws].median(1).values.std(),
        "who was drawn twice counts once here; repeats belong to the draw": _repeats_dropped,
        "half the distance of two percentiles is not the standard deviation": _half_interval,
        "the squares are taken about the raters' mean; take the mean of the draws' means instead": _about_the_raters,
        "mean of squares less square of the mean can fall below 0 if all agree; square the differences to the mean": (
            _differences_of_squares
        ),
        "two results came, one is asked for: the error alone": lambda x, draws: (
            x[draws].mean(),
            bootstrap_error(x, draws),
        ),
    },
)

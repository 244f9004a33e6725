"""What one rater will see, drawn before the first picture (paper, section 3.1: one method for a rater)."""

from typing import NamedTuple

import numpy as np

LEAST = 4  # photographs: with fewer there is nothing to ask
CATCH_SHARE = 0.1  # of the pairs


class Plan(NamedTuple):
    """rater: 16 hex digits.  trials: (number, practice, catch, photograph, fake_first), number from 1."""

    rater: str
    method: str
    trials: list


def draw_plan(study, seed, count, methods):
    """The plan of rater `count` (from 0): the same for the same seed.

    methods: those in question; one is drawn.  No photograph comes twice; catch trials lie anywhere among the
    main pairs; which of a pair comes first is a coin's toss.
    """
    rng = np.random.default_rng([seed, count])
    rater, method = rng.bytes(8).hex(), str(rng.choice(sorted(methods)))
    photographs = rng.permutation(len(study.photographs))[: study.trials]
    catch = set(study.practice + rng.permutation(study.pairs)[: study.catch])
    coins = rng.integers(0, 2, study.trials)
    trials = [
        (
            index + 1,
            int(index < study.practice),
            int(index in catch),
            int(photographs[index]),
            int(coins[index]),
        )
        for index in range(study.trials)
    ]
    return Plan(rater, method, trials)


def least_used(counts):
    """The methods with the fewest raters: {method: raters} -> list."""
    fewest = min(counts.values())
    return [method for method, raters in counts.items() if raters == fewest]


class Counts(NamedTuple):
    """How many pairs a rater sees.  catch: those of `pairs` with random colours."""

    practice: int
    pairs: int
    catch: int


def counts_for(photographs, practice, pairs):
    """The Counts that so many photographs allow, as a rater sees none twice.

    Those wanted or, where there are fewer photographs, all of them in the same proportion; one catch trial at
    least, where there are pairs enough that it tells something.
    """
    if photographs < practice + pairs:
        practice = practice * photographs // (practice + pairs)
        pairs = photographs - practice
    return Counts(practice, pairs, max(round(pairs * CATCH_SHARE), int(pairs >= LEAST)))

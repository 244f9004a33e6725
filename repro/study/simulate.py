"""Raters who can be computed: a study whose answer is known, to check the statistics and fill a page.

Method: signal detection.  Each picture of a pair looks fake by an amount drawn from a normal distribution of
spread 1; the recoloured one's mean is higher by d' = sensitivity x colour difference / 10 ab units.  The rater
names the one that looked more fake, and so is fooled with probability Phi(-d' / sqrt 2).  Raters differ in
sensitivity (lognormal); a share of them is inattentive and answers by a coin.
This is no model of people: it says what the study would measure if raters were like that.
"""

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import norm

from repro.study.database import StoreError, connect, read_meta
from repro.study.store import Answer, Store, simulated_store_path

STREAM = 1  # keeps the raters' dice apart from those of their plans


@dataclass(frozen=True)
class Raters:
    """How simulated raters are.

    sensitivity: median, d' for a difference of 10 ab units; variation: standard deviation of its logarithm;
    inattentive: share who answer by a coin, 0..1.
    """

    sensitivity: float = 1.0
    variation: float = 0.3
    inattentive: float = 0.05

    def fooled(self, difference, sensitivity):
        """P(fooled) of an attentive rater: Phi(-d' / sqrt 2); arrays broadcast."""
        return norm.cdf(-np.asarray(sensitivity) * np.asarray(difference) / 10 / np.sqrt(2))


def true_rates(study, raters=Raters()):
    """{method: share of pairs that fool an attentive simulated rater}, 0..1: what `fooled` must find.

    The share is over all photographs and sensitivities.
    """
    quantiles = norm.ppf((np.arange(200) + 0.5) / 200)
    sensitivity = raters.sensitivity * np.exp(raters.variation * quantiles)
    return {
        method: float(
            raters.fooled(
                np.array([photo.difference[method] for photo in study.photographs])[:, None], sensitivity
            ).mean()
        )
        for method in study.methods
    }


def simulate(study, raters=60, seed=0, path=None, model=Raters()):
    """Let simulated raters take part, through the same store and checks as people; returns the Store, open.

    raters: how many, shared evenly over the methods.  path: of the store, made anew; None: simulated.sqlite in the
    study's folder.  The same seed gives the same answers.  Raises StoreError if `path` holds people's answers.
    """
    path = Path(path or simulated_store_path(study))
    _remove_simulated(path)
    clock, apart = _Clock(), differences(study)
    store = Store(path, study, "simulated", seed=seed, clock=clock)
    for number in range(raters):
        _sit(store, model, apart, np.random.default_rng([seed, number, STREAM]), clock)
    return store


def _sit(store, model, apart, rng, clock):
    """One rater, from joining to the last pair."""
    sensitivity = model.sensitivity * np.exp(model.variation * rng.normal())
    attentive = rng.random() >= model.inattentive
    token = store.join(("desktop", "phone", "tablet")[rng.integers(3)])
    while not (state := store.state(token))["finished"]:
        files = [store.picture(token, address) for address in state["pictures"]]
        looks = rng.normal(size=2)
        if attentive:
            looks += [sensitivity * apart[file] / 10 for file in files]
        reaction_ms = float(300 + rng.lognormal(6.5, 0.5))
        clock.now += 2 * store.study.display_ms / 1000 + reaction_ms / 1000
        shown = (float(store.study.display_ms),) * 2
        store.answer(token, Answer(state["number"], state["pictures"][int(looks.argmax())], shown, reaction_ms))


class _Clock:
    """Seconds that pass when told so."""

    now = 0.0

    def __call__(self):
        return self.now


def differences(study):
    """{file id: distance from its photograph's colours, ab units}; 0 for the photographs."""
    apart = {photo.truth: 0.0 for photo in study.photographs}
    for photo in study.photographs:
        for name, picture in {"random": photo.random, **photo.methods}.items():
            apart[picture] = photo.difference[name]
    return apart


def _remove_simulated(path):
    if path.is_file():
        with contextlib.closing(connect(path)) as db:
            try:
                kind = read_meta(db).get("kind")
            except sqlite3.DatabaseError:
                kind = None
        if kind != "simulated":
            raise StoreError(f"{path} holds no simulated answers and is left alone: name another file")
        for ending in ("", "-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)

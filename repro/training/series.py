"""Several trainings one after another, each a few settings away from params.yaml.

They are the models that come along, or a comparison of rates.

A series is a YAML file of the models' names, each with the settings that it changes:

    common: {train.batch: 256, train.minutes: 2}
    models:
      classification: {objective: classification}
      regression_finetuned: {objective: regression, train.initialization: classification.safetensors}

`minutes` may be shortened for all alike, so that the same series rehearses in seconds what it does in hours.
"""

import json
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from lightning_fabric import Fabric

from repro import paths
from repro.bins import ab_bins
from repro.colorizer.weights import WeightsError, halve, read_header
from repro.files import write_atomically
from repro.objectives import Objective
from repro.prior import rebalancing_weights
from repro.settings import load_yaml
from repro.training.checkpoints import run_name
from repro.training.loop import train
from repro.training.settings import settings_of

EVERY = 60  # seconds between two exports of a training that goes on


def read_series(file):
    """{model: {"SECTION.NAME" or "objective": value}} of a series, what is common put into each.

    Raises ValueError for a file that is none.
    """
    try:
        found = load_yaml(Path(file).read_text(encoding="utf-8"), file)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}") from None
    models = found.get("models") if isinstance(found, dict) else None
    common = (found.get("common") or {}) if models else {}
    if not isinstance(models, dict) or not models or not all(map(_is_changes, (common, *models.values()))):
        raise ValueError(f"{file} is no series: expected models: {{NAME: {{SECTION.NAME: VALUE}}}}")
    if strange := [name for name in models if not re.fullmatch(r"\w[\w.-]*", str(name))]:
        raise ValueError(f"{file}: a model's name is of letters, digits, _, - and dots; got {strange[0]!r}")
    return {name: common | changes for name, changes in models.items()}


def _is_changes(given):
    names = {"objective", "train.initialization"}  # whose values are text
    return isinstance(given, dict) and all(
        isinstance(name, str) and (name in names) <= isinstance(value, str) for name, value in given.items()
    )


def are_of(weights, settings):
    """Whether a weights file was written by a training with these settings, at whatever step."""
    try:
        known = read_header(weights).get("settings", {})
    except WeightsError:
        return False
    left_out = {"initialization", "encoder"}  # which a file names without their folders
    return all(known.get(name) == value for name, value in asdict(settings).items() if name not in left_out)


@dataclass(frozen=True)
class Common:
    """What all models of a series have in common.

    photos, validation, fabric: as for `train`.  params_of: gives the Settings with a model's changes.
    prior_of: gives the smoothed prior (Q,) for such settings.
    """

    photos: object
    validation: object
    fabric: Fabric
    params_of: Callable
    prior_of: Callable


def train_series(models, common, out, report=print, checkpoint_every=1000):
    """Train each model of a series that is not there yet; writes out/NAME.safetensors, in half precision, and NAME.csv.

    models: of `read_series`.  common: a Common.  What a training has reached is written every minute, so that one
    that is cut off leaves something.
    """
    out, bins = Path(out), ab_bins()
    out.mkdir(parents=True, exist_ok=True)
    for name, changes in models.items():  # what is wrong with the last one is said before the first is trained
        _settings_of(name, changes, common, out)
    for name, changes in models.items():
        target = out / f"{name}.safetensors"
        if target.with_suffix(".csv").exists():
            report(f"{name}: there already")
            continue
        params, settings = _settings_of(name, changes, common, out)
        if target.exists() and not are_of(target, settings):
            raise ValueError(f"{target} is there already and is not of this training; name another --out")
        rebalanced = settings.objective == "rebalanced"
        weights = rebalancing_weights(common.prior_of(params), settings.uniform_mix) if rebalanced else None
        objective = Objective(settings.objective, bins, weights, settings.neighbours, settings.sigma)
        folder = paths.RUNS / f"{name}-{run_name(settings, common.photos, objective)}"
        with _exported(folder / "best.safetensors", target):
            result = train(
                common.photos, common.validation, settings, objective, folder,
                lambda line, name=name: report(f"{name}: {line.strip()}"),
                checkpoint_every=checkpoint_every, fabric=common.fabric,
            )  # fmt: skip
        halve(result.weights, target, trained_on=len(common.photos))
        write_atomically(target.with_suffix(".csv"), result.curve.read_bytes())
        shutil.rmtree(folder)
        report(json.dumps({"model": name, "samples": result.history[-1]["step"] * settings.batch} | result.history[-1]))


def _settings_of(name, changes, common, out):
    """(the Settings, the TrainingSettings) of a model."""
    changed = {key: value for key, value in changes.items() if key != "objective"}
    start = out / changed.get("train.initialization", "")
    if start.is_file():  # a model of this series
        changed["train.initialization"] = str(start)
    params = common.params_of(changed)
    return params, settings_of(params, changes.get("objective", name))


class _exported:
    """While this lasts, the best weights so far are copied every minute."""

    def __init__(self, best, target):
        self.best, self.target, self.ended = best, target, threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self._copy, daemon=True)
        self.thread.start()

    def _copy(self):
        while not self.ended.wait(EVERY):
            if self.best.exists():
                halve(self.best, self.target)

    def __exit__(self, *error):
        self.ended.set()
        self.thread.join()

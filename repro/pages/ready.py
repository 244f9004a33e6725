"""What stands in on pages that are run by hand before anything was trained: small models of the painted world.

    repro/pages/ready/models/OBJECTIVE.safetensors    in half precision, of conf/by_hand.yaml (`repro train --series`)
    repro/pages/ready/prior.npz                       of the scenes that they were trained on, as page 01 writes it
    repro/pages/ready/metrics/                        what pages 04 to 10 measured of them

`paths.find` hands them out where neither outputs/ nor scratch/ has a file of that name.
"""

import csv
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from repro import paths
from repro.colorizer import Colorizer
from repro.colorizer.weights import models_in, photographs_seen
from repro.datasets.world import WorldSource
from repro.evaluation.known_world import compare
from repro.files import write_atomically
from repro.pages.records import as_json

PAGES = (
    "05_decoding", "06_raw_accuracy", "07_semantic_interpretability", "08_perceptual_realism",
    "09_task_generalization", "10_dataset_generalization",
)  # fmt: skip
SCENES = 400  # unseen ones, on which theory and network are compared


def take_over(trained):
    """Copy the models of a series into `paths.READY`, each with its curve, and their prior.

    trained: the folder of NAME.safetensors, NAME.csv and prior.npz that the series wrote.
    Raises FileNotFoundError if it holds no models or lacks a file, WeightsError for a broken one; then nothing changes.
    """
    trained, models = Path(trained), models_in(trained)
    if not models:
        raise FileNotFoundError(
            f"{trained} holds no .safetensors: train --series conf/by_hand.yaml --out {trained} first"
        )
    files = {f"models/{copied.name}": copied for file in models.values() for copied in (file, file.with_suffix(".csv"))}
    files["prior.npz"] = trained / "prior.npz"
    for file in files.values():  # all are looked at before the first one is replaced
        if not file.is_file():
            raise FileNotFoundError(f"{file} is missing; train --series conf/by_hand.yaml --out {trained} writes it")
    for file in models.values():
        Colorizer.load(file)
    for relative, file in files.items():
        _keep(file, relative)


def measure(report=print):
    """Have the pages measure the models in `paths.READY`, as by hand, and keep what they found beside them.

    Raises papermill's error if a page fails.
    """
    with TemporaryDirectory() as folder:
        places = {"REPRO_SCRATCH": f"{folder}/scratch", "REPRO_OUTPUTS": f"{folder}/outputs"}
        for page in PAGES:
            report(f"{page}: {run_by_hand(page, places):.0f} s")
            _keep(Path(folder, f"scratch/metrics/{page}.json"), f"metrics/{page}.json")
    for name, file in models_in(paths.READY / "models").items():
        write_atomically(_place(f"metrics/04_training/{name}.json"), as_json(_training(file)))


def run_by_hand(page, places):
    """Execute a page alone as a person would; returns how many seconds its cells took.

    places: {"REPRO_SCRATCH": folder, "REPRO_OUTPUTS": folder}, for the page's process.
    """
    from papermill import execute_notebook  # needs a second or two, and pages do without

    before = {name: os.environ.get(name) for name in places}
    os.environ.update(places)
    try:
        with TemporaryDirectory() as folder:
            done = execute_notebook(
                paths.NOTEBOOKS / f"{page}.ipynb", f"{folder}/page.ipynb", progress_bar=False,
                extra_arguments=["--log-level=ERROR"],
            )  # fmt: skip
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    return done.metadata.papermill.duration


def _keep(file, relative):
    write_atomically(_place(relative), file.read_bytes())


def _place(relative):
    place = paths.READY / relative
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _training(file):
    """The figures that page 04 keeps of a training, from its curve and its weights."""
    with open(file.with_suffix(".csv"), encoding="utf-8") as curve:
        last = list(csv.DictReader(curve))[-1]
    model = Colorizer.load(file)
    weights = (
        torch.from_numpy(np.load(paths.READY / "prior.npz")["weights"]) if model.objective == "rebalanced" else None
    )
    found = compare(model, WorldSource(test=SCENES).scenes("test", 64, SCENES), weights)
    worst = max(found, key=lambda comparison: comparison.error)
    metrics = {name: float(last[name]) for name in ("validation_loss", "auc", "auc_rebalanced", "photos_per_second")}
    metrics["samples"] = photographs_seen(model.header)
    metrics["seconds"] = metrics["samples"] / metrics["photos_per_second"]
    metrics |= {"largest_error": worst.error, "worst_thing": worst.thing}
    return metrics | {"largest_stray": max(comparison.stray for comparison in found)}

"""python -m benchmarks.known_answers --out results/known_answers.json: how often the painted world's goals are reached.

Trains what page 04 trains, with the settings of params.yaml, for several seeds and in both precisions, and compares
each network with theory (`repro.evaluation.known_world`).  A figure of one run says nothing of the next one: other
processors and other seeds end elsewhere.  Every finished run is written at once, and the same command goes on.
"""

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import as_completed
from dataclasses import asdict
from functools import cache
from pathlib import Path

import torch

from repro.bins import ab_bins
from repro.colorizer import Colorizer
from repro.datasets.world import WorldSource
from repro.evaluation.known_world import compare
from repro.evaluation.raw_accuracy import RawAccuracy
from repro.examples import to_example
from repro.files import write_atomically
from repro.kinds import OBJECTIVES
from repro.objectives import Objective
from repro.pages.records import as_json, run_description
from repro.prior import empirical_prior, rebalancing_weights, smooth
from repro.settings import read
from repro.training.batches import true_colors
from repro.training.loop import train
from repro.training.settings import settings_of
from repro.workers import open_pool

PRECISIONS = ("32-true", "bf16-mixed")


@cache
def painted(params):
    """Of params.yaml: settings, training and validation scenes, unseen ones with their maps, the colours' weights."""
    settings = read(params)
    data, size = settings.data, settings.data.size
    source = WorldSource(data.seed, train=data.train, val=data.val, test=settings.evaluate.scenes)
    photos, validation = (source.bulk(split, size)[0] for split in ("train", "val"))
    colors = true_colors(photos, size, settings.prior.photographs)
    prior = empirical_prior(colors, ab_bins(), settings.prior.soft, settings.prior.neighbours)
    weights = rebalancing_weights(smooth(prior, ab_bins(), settings.prior.smoothing), settings.prior.uniform_mix)
    scenes = source.scenes("test", size, settings.evaluate.scenes)
    return settings, photos, validation, scenes, weights


def one_run(params, objective, seed, precision):
    """Train once and compare with theory: a row of the table, a dict."""
    settings, photos, validation, scenes, weights = painted(params)
    recipe = settings_of(read(params, {"train.seed": seed, "train.precision": precision}), objective)
    weights = weights if objective == "rebalanced" else None
    goal = Objective(objective, ab_bins(), weights, recipe.neighbours, recipe.sigma)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        run = train(photos, validation, recipe, goal, Path(folder, "run"), report=lambda line: None)
        seconds = time.monotonic() - began
        model = Colorizer.load(run.weights)
    furthest = max(compare(model, scenes, weights), key=lambda comparison: comparison.error)
    accuracy = RawAccuracy(ab_bins())
    for part in torch.arange(settings.evaluate.photographs).split(50):
        lightness, true = to_example(scenes.rgb8[part.numpy()])
        ab = model.decode(model.predict(lightness), None, settings.decode.temperature)
        accuracy.add(ab.permute(0, 2, 3, 1), true)
    return {
        "objective": objective, "seed": seed, "precision": precision, "seconds": round(seconds, 1),
        "largest_error": furthest.error, "worst_thing": furthest.thing,
        "auc": accuracy.auc(), "auc_rebalanced": accuracy.auc(rebalanced=True),
    }  # fmt: skip


def main():
    """Train what is missing of the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.known_answers", description=__doc__.split("\n")[0])
    parser.add_argument("--params", default="params.yaml", metavar="FILE")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="0 to N - 1 (5)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), metavar="N", help="trainings at once, a thread each"
    )
    parser.add_argument("--out", required=True, metavar="FILE.json")
    options = parser.parse_args()
    out, settings = Path(options.out), read(options.params)
    recipe = {name: settings[name] for name in ("data", "prior", "encoding")} | {"train": asdict(settings.train)}
    for name in ("seed", "precision", "checkpoint_every"):  # what varies, and what changes nothing
        del recipe["train"][name]
    found = json.loads(out.read_text()) if out.exists() else {"recipe": recipe, "runs": []}
    if found["recipe"] != recipe:
        parser.exit(1, f"error: {out} is of other settings; remove it, or name another --out\n")
    done = {(run["objective"], run["seed"], run["precision"]) for run in found["runs"]}
    wanted = [(o, s, p) for s in range(options.seeds) for p in PRECISIONS for o in OBJECTIVES if (o, s, p) not in done]
    with open_pool(options.jobs) as pool:
        for future in as_completed([pool.submit(one_run, options.params, *one) for one in wanted]):
            run = future.result()
            found["runs"] = sorted([*found["runs"], run], key=lambda r: (r["objective"], r["precision"], r["seed"]))
            write_atomically(out, as_json(found | {"run": run_description("0 and on")}))
            line = "{objective} {precision} seed {seed}: {worst_thing} {largest_error:.3f}, {seconds:.0f} s"
            print(line.format(**run), flush=True)


if __name__ == "__main__":
    main()

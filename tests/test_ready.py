"""Pages run by hand before anything was trained: what they read is there, small, and worth looking at."""

import ast
import json

import numpy as np
import pytest
import torch

from repro import paths
from repro.bins import ab_bins
from repro.color import lab_to_rgb, rgb_to_lab
from repro.colorizer import Colorizer
from repro.colorizer.weights import models_in
from repro.datasets.world import THINGS, WorldSource
from repro.evaluation.raw_accuracy import RawAccuracy
from repro.examples import to_example
from repro.pages.ready import run_by_hand

PAGES = sorted(paths.NOTEBOOKS.glob("*.ipynb"))


def calls(page):
    cells = json.loads(page.read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_page_stops_for_a_missing_file(page):
    """Whatever a page reads of other pages stands in: models, the prior, and what pages measured."""
    for call in calls(page):
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        given = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
        if name == "find":
            assert (paths.READY / given).is_file(), given
        if name == "read_metrics" and given:
            assert (paths.READY / f"metrics/{given}.json").is_file(), given
        if name == "trained_models":
            assert list(models_in(paths.READY / "models")) == ["regression", "classification", "rebalanced"]


def test_all_of_it_is_small():
    files = [path for path in paths.READY.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2_000_000


@pytest.fixture(scope="module")
def answers():
    """{objective: ab (N, h, w, 2)}, the truth among them, on scenes that the models have not seen."""
    photos, _ = WorldSource(seed=0, train=1, val=1, test=100).bulk("test", 64)
    lightness, true = to_example(photos)
    found = {"truth": true, "gray": torch.zeros_like(true)}
    for name, path in models_in(paths.READY / "models").items():
        model = Colorizer.load(path)
        found[name] = model.decode(model.predict(lightness)).permute(0, 2, 3, 1)
    return found


def test_their_order_is_that_of_theory(answers):
    """As page 06: both AuC figures put the three in the order of a network that knows the written-down distributions.

    The rebalanced one puts gray last.
    """
    accuracy = {name: RawAccuracy(ab_bins()).add(ab, answers["truth"]) for name, ab in answers.items()}
    plain = {name: found.auc() for name, found in accuracy.items()}
    rebalanced = {name: found.auc(rebalanced=True) for name, found in accuracy.items() if name != "truth"}
    models = ("regression", "classification", "rebalanced")
    assert sorted(models, key=plain.get) == ["rebalanced", "regression", "classification"]
    assert sorted(models, key=rebalanced.get) == ["regression", "classification", "rebalanced"]
    assert min(rebalanced, key=rebalanced.get) == "gray"


def test_what_they_paint_is_no_brown_mud(answers):
    """Vivid where the truth is vivid, and of its hue: a pixel's colour points the same way as the truth's."""
    vivid = answers["truth"].norm(dim=-1) > 30
    true = answers["truth"][vivid]
    for name in ("classification", "rebalanced"):
        ab = answers[name][vivid]
        assert ab.norm(dim=-1).mean() > 0.5 * true.norm(dim=-1).mean(), name
        assert torch.cosine_similarity(ab, true).mean() > 0.5, name


def test_the_trained_network_beats_both_starts():
    found = json.loads((paths.READY / "metrics/09_task_generalization.json").read_text())
    for name in ("classification", "rebalanced"):
        for start in ("random", "k-means"):
            assert found[name]["best"] > found[start]["best"], (name, start)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", ["04_training", "05_decoding", "06_raw_accuracy", "08_perceptual_realism", "12_results"]
)
def test_a_page_runs_alone_in_an_empty_folder(page, tmp_path):
    run_by_hand(page, {"REPRO_SCRATCH": str(tmp_path / "scratch"), "REPRO_OUTPUTS": str(tmp_path / "outputs")})
    assert not (tmp_path / "outputs").exists()


def test_the_running_example_can_be_told_apart_by_the_colour_blind():
    """Blue and oak doors under simulated deuteranopia (Machado and others 2009, severity 1).

    Beside them stand red and green apples, which almost nobody with it can tell apart.
    """
    matrix = torch.tensor(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    )

    def seen(name, count):
        thing = next(thing for thing in THINGS if thing.name == name)
        lab = torch.tensor([[np.mean(thing.lightness), *ab] for ab in thing.ab[:count]], dtype=torch.float32)
        rgb = lab_to_rgb(lab)
        linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ matrix.T
        linear = linear.clamp(1e-6, 1)
        back = torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
        return torch.pdist(rgb_to_lab(back)[:, 1:])

    assert seen("door", 3).min() > 25 and seen("door", 2).min() > 50
    assert seen("apple", 2).min() < 15

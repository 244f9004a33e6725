"""Training: settings, schedules, batches, and runs that continue as if they had never been interrupted."""

import csv
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from repro.bins import ab_bins
from repro.color import rgb8_to_lab, rgb8_to_lightness
from repro.colorizer import Colorizer
from repro.colorizer.weights import WeightsError, load_weights, read_header, save_weights
from repro.examples import to_example
from repro.objectives import Objective
from repro.training import loop
from repro.training.batches import (
    center_crops,
    cut,
    shrunk,
    training_crops,
    true_colors,
    window_side,
    windows,
)
from repro.training.loop import TrainingDiverged, train
from repro.training.networks import build_network, faded, grainy
from repro.training.processes import open_fabric
from repro.training.settings import TrainingSettings, learning_rate

TINY = TrainingSettings(
    "classification",
    width=0.03,
    steps=6,
    batch=4,
    crop=16,
    schedule="0:2e-3",
    initialization="he",
    validate_every=2,
    precision="32-true",
)


def goal(settings=TINY):
    bins = ab_bins()
    return Objective(
        settings.objective, bins, torch.linspace(0.2, 3, 313) if settings.objective == "rebalanced" else None
    )


def quiet(line):
    pass


# -- settings --------------------------------------------------------------------------------------------------------


def test_the_defaults_are_the_papers():
    settings = TrainingSettings()
    assert (settings.steps, settings.batch, settings.crop, settings.beta1, settings.beta2) == (
        450_000,
        40,
        176,
        0.9,
        0.99,
    )
    rates = [
        learning_rate(settings.schedule, step, settings.steps)
        for step in (0, 199_999, 200_000, 374_999, 375_000, 449_999)
    ]
    assert rates == [3e-5, 3e-5, 1e-5, 1e-5, 3e-6, 3e-6]


def test_weight_decay_is_converted_for_a_mean_loss():
    """Crop 176: 44 x 44 = 1936 output pixels, 1e-3 / 1936 = 5.165e-7."""
    assert TrainingSettings().mean_loss_weight_decay == pytest.approx(5.165e-7, rel=1e-4)
    assert replace(TrainingSettings(), crop=64).mean_loss_weight_decay == pytest.approx(1e-3 / 256)


def test_converted_decay_does_what_the_release_does():
    """One parameter vector, a loss summed over 9 pixels with decay d.

    Adam makes the same steps on the mean with d / 9.
    """
    targets = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
    ends = []
    for divisor in (1, 9):
        weight = torch.ones(3, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.Adam([weight], lr=0.01, weight_decay=0.9 / divisor, eps=1e-30)
        for _ in range(50):
            optimizer.zero_grad()
            ((weight - targets).square().sum() / divisor).backward()
            optimizer.step()
        ends.append(weight.detach())
    assert torch.allclose(*ends, atol=1e-9)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"objective": "l2"}, "objective must be one of"),
        ({"width": "abc"}, "width must be a positive number, got 'abc'"),
        ({"compiled": "false"}, "compiled must be true or false, got 'false'"),
        ({"width": 0}, "width must be a positive number, got 0"),
        ({"steps": 0}, "steps must be a whole number, at least 1"),
        ({"batch": -1}, "batch must be a whole number, at least 1"),
        ({"validate_every": 0}, "validate_every must be a whole number, at least 1"),
        ({"crop": 60}, "crop must be a multiple of 8"),
        ({"crop": 8}, "at least 16"),
        ({"accumulate": 3}, "accumulate must divide the batch of 4, got 3"),
        ({"accumulate": 0}, "accumulate must be a whole number, at least 1"),
        ({"precision": "16-mixed"}, "precision must be one of"),
        ({"initialization": "zeros"}, "initialization must be one of"),
        ({"noise": -1}, "noise must be a number from 0 to 100"),
        ({"average": 1}, "average must be a number, at least 0 and below 1"),
        ({"network": "unet"}, "network must be one of"),
        ({"network": "encoder", "encoder": "package", "initialization": "kmeans"}, "initialization must be he"),
        ({"network": "encoder"}, "encoder must name a file"),
        ({"minutes": -1}, "minutes must be a number, at least 0"),
        ({"minutes": 1}, "needs a schedule 'cosine RATE'"),
        ({"growing": "60:0.5"}, "growing must be 'PIXELS:SHARE"),
        ({"growing": "32:0.5 64:0.4"}, "growing must be"),
        ({"growing": "32"}, "growing must be"),
        ({"faded": 0.5}, "faded must be a number, at least 0 and below .5"),
        ({"schedule": "linear 1e-3"}, "a schedule is 'cosine RATE' or"),
    ],
)
def test_wrong_settings_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY, **change)


def test_the_key_tells_settings_apart():
    changes = {"seed": 1}, {"schedule": "0:1e-3"}, {"objective": "regression"}, {}
    assert len({replace(TINY, **change).key() for change in changes}) == 4 and TINY.key() == replace(TINY).key()
    assert TINY.key().startswith("classification-")


# -- schedules -------------------------------------------------------------------------------------------------------


def test_cosine_by_hand():
    """100 steps: rise over 2 (half, whole), then from the peak down.

    Half-way at 2 + 49 the cosine is 0, so half the peak.
    """
    assert [learning_rate("cosine 2e-3", step, 100) for step in (0, 1, 2, 51)] == pytest.approx(
        [1e-3, 2e-3, 2e-3, 1e-3]
    )
    assert learning_rate("cosine 2e-3", 99, 100) < 2e-6


@given(st.integers(1, 3000), st.floats(1e-6, 1))
def test_cosine_rises_then_falls_and_never_exceeds_its_peak(steps, peak):
    rates = np.array([learning_rate(f"cosine {peak}", step, steps) for step in range(steps)])
    top = rates.argmax()
    assert (np.diff(rates[: top + 1]) >= 0).all() and (np.diff(rates[top:]) <= 1e-15).all()
    assert rates.max() == pytest.approx(peak) and (rates > 0).all()


@pytest.mark.parametrize(
    "schedule",
    [
        "",
        "1e-3",
        "cosine",
        "cosine 1e-3 2",
        "cosine fast",
        "10:1e-3",
        "0:1e-3 20:1e-4 10:1e-5",
        "0:",
        "0:1e-3 x:1e-4",
        "0:1:2",
        "0.5:1e-3",
    ],
)
def test_wrong_schedules_are_quoted(schedule):
    with pytest.raises(ValueError, match="in rising steps, got"):
        learning_rate(schedule, 0, 100)


# -- batches ---------------------------------------------------------------------------------------------------------


def numbered(count, size=16):
    """Photographs that know their number: red channel."""
    photos = np.zeros((count, size, size, 3), np.uint8)
    photos[..., 0] = np.arange(count)[:, None, None]
    return photos


def numbers(photos, batch, seed, step):
    return training_crops(photos, batch, 16, seed, step)[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("count, batch", [(12, 4), (10, 4), (7, 3), (3, 8)])
def test_every_photograph_once_an_epoch_in_an_order_of_its_own(count, batch):
    steps = -(-3 * count // batch)
    seen = [n for step in range(steps) for n in numbers(numbered(count), batch, 0, step)]
    epochs = [seen[first : first + count] for first in range(0, 3 * count, count)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    assert count < 5 or len(set(map(tuple, epochs))) == 3


def test_a_batch_depends_on_seed_and_step_only(photos):
    first = training_crops(photos, 5, 16, seed=1, step=9)
    for step in (3, 0, 8):
        training_crops(photos, 5, 16, seed=1, step=step)
    np.random.seed(0)
    assert np.array_equal(training_crops(photos, 5, 16, seed=1, step=9), first)
    assert not np.array_equal(training_crops(photos, 5, 16, seed=2, step=9), first)
    assert not np.array_equal(training_crops(photos, 5, 16, seed=1, step=10), first)


def test_crops_are_windows_half_of_them_mirrored():
    size = 20
    photos = np.zeros((1, size, size, 3), np.uint8)
    photos[..., 0], photos[..., 1] = np.arange(size)[:, None], np.arange(size)  # every pixel knows its place
    crops = np.concatenate([training_crops(photos, 10, 16, 0, step) for step in range(40)])
    mirrored = crops[:, 0, 0, 1] > crops[:, 0, 1, 1]
    assert 0.4 < mirrored.mean() < 0.6
    straight = np.where(mirrored[:, None, None, None], crops[:, :, ::-1], crops)
    corners = straight[:, 0, 0, :2]
    assert set(corners[:, 0]) == set(corners[:, 1]) == set(range(5)), "all places, the last one too"
    offsets = np.stack(np.meshgrid(np.arange(16), np.arange(16), indexing="ij"), -1)
    assert (straight[..., :2] == corners[:, None, None] + offsets).all()


def test_the_callers_photographs_are_not_touched(photos):
    training_crops(photos, 4, 32, 0, 0)[:] = 0
    assert photos.any()


@pytest.mark.parametrize(
    "crops", [lambda photos: training_crops(photos, 4, 40, 0, 0), lambda photos: center_crops(photos, 40)]
)
def test_crops_that_do_not_fit_are_refused(photos, crops):
    with pytest.raises(ValueError, match="stored at 32 pixels, too small for crops of 40"):
        crops(photos)
    with pytest.raises(ValueError, match="no photographs"):
        crops(photos[:0])


def test_center_crops(photos):
    assert np.array_equal(center_crops(photos, 16), photos[:, 8:24, 8:24])
    assert np.array_equal(center_crops(photos, 32), photos)


@given(st.integers(0, 1000), st.integers(0, 1000), st.sampled_from([8, 16, 24, 32]))
def test_tensors_are_cut_as_arrays_are(seed, step, crop):
    photos = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    where = windows(5, 32, crop, 6, seed, step)
    cropped = cut(torch.from_numpy(photos), torch.from_numpy(where), crop)
    assert np.array_equal(cropped.numpy(), cut(photos, where, crop))


def test_shrinking_averages():
    """Four pixels to one at half the side: the triangle of an antialiased bilinear filter, 1 3 3 1 over 8."""
    column = np.array([0, 80, 160, 240, 240, 240, 240, 240], np.uint8)
    square = np.broadcast_to(column[:, None, None], (8, 8, 3))[None]
    # rows 0-1: (3 * 0 + 3 * 80 + 160) / 7; rows 2-3: (80 + 3 * 160 + 3 * 240 + 240) / 8; then all are 240
    small = shrunk(square.copy(), 4)
    assert small.shape == (1, 4, 4, 3) and small.dtype == np.uint8
    assert small[0, :, 0, 0].tolist() == [57, 190, 240, 240]
    assert np.array_equal(small, shrunk(torch.from_numpy(square.copy()), 4).numpy())
    assert shrunk(square, 8) is square


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from([16, 64, 112]))
def test_windows_are_from_the_crops_size_to_the_whole(seed, step, crop):
    side = window_side(128, crop, seed, step)
    assert crop <= side <= 128 and side == window_side(128, crop, seed, step)
    where = windows(7, 128, side, 9, seed, step)
    assert (where[1:3] >= 0).all() and (where[1:3] + side <= 128).all()


def test_every_side_of_a_window_occurs():
    sides = {window_side(20, 16, 0, step) for step in range(200)}
    assert sides == {16, 17, 18, 19, 20} and window_side(16, 16, 0, 0) == 16


def test_crops_grow_by_share():
    settings = replace(TINY, growing="64:0.4 96:0.7", crop=112)
    shares = (0, 0.39, 0.4, 0.69, 0.7, 1)
    assert [settings.crop_at(share) for share in shares] == [64, 64, 96, 96, 112, 112]
    assert TINY.crop_at(0.0) == TINY.crop_at(1.0) == TINY.crop


def test_faded_prints_keep_their_order_and_their_range(lightness):
    torch.manual_seed(0)
    pale = faded(lightness, 0.2)
    assert 0 <= float(pale.min()) and float(pale.max()) <= 100
    spans = [float(faded(torch.tensor([[[[0.0, 100.0]]]]), 0.2).diff()) for _ in range(200)]
    assert 60 <= min(spans) < 70 and 90 < max(spans) <= 100  # each end moves by up to 20
    flat, faint = lightness[0].flatten(), pale[0].flatten()
    assert torch.equal(flat.argsort(stable=True), faint.argsort(stable=True))


def test_examples_of_tensors_are_those_of_arrays(photos):
    for found, expected in zip(to_example(torch.from_numpy(photos.copy())), to_example(photos), strict=True):
        assert found.shape == expected.shape and torch.allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("most, world", [(0, 1), (0, 3), (10, 1), (10, 2), (99, 1)])
def test_true_colors_counts_each_photograph_once_over_all_processes(photos, most, world):
    parts = [list(true_colors(photos, most=most, rank=rank, world=world, batch=4)) for rank in range(world)]
    together = torch.cat([ab for part in parts for ab in part])
    expected = to_example(photos[: most or None])[1]
    order = lambda ab: ab.flatten(1).double().sum(1).sort().values
    assert together.shape == expected.shape and torch.equal(order(together), order(expected))


def test_targets_are_every_fourth_pixel(photos):
    lightness, ab = to_example(photos[:3])
    assert lightness.shape == (3, 1, 32, 32) and ab.shape == (3, 8, 8, 2)
    assert np.array_equal(lightness[:, 0].numpy(), rgb8_to_lightness(photos[:3]))
    assert np.allclose(ab.numpy(), rgb8_to_lab(photos[:3])[:, ::4, ::4, 1:])


# -- the network before training
# -------------------------------------------------------------------------------------


def test_initializations(photos):
    names = "he", "gaussian"
    networks = {name: build_network(replace(TINY, width=0.25, initialization=name), goal(), photos) for name in names}
    weight = lambda name: networks[name].layers["conv4_2"][0].weight
    assert float(weight("gaussian").detach().std()) == pytest.approx(0.01, rel=0.05)
    assert float(weight("he").detach().std()) == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.05)
    assert all((layer[0].bias == 0).all() for network in networks.values() for layer in network.layers.values())


def saved(folder, width=TINY.width, objective="rebalanced"):
    settings = replace(TINY, width=width, objective=objective)
    network = build_network(replace(settings, seed=5), goal(settings), None)
    save_weights(folder / f"{objective}.safetensors", network, goal(settings))
    return network


def test_going_on_from_weights(tmp_path):
    """Those of one's own objective, or what fits of another's."""
    full = saved(tmp_path).state_dict()
    own = replace(TINY, objective="rebalanced", initialization=str(tmp_path / "OBJECTIVE.safetensors"))
    network = build_network(own, goal(own), None).state_dict()
    assert all(torch.equal(network[name], full[name]) for name in full)
    tuned = replace(
        TINY, objective="regression", initialization=str(tmp_path / "rebalanced.safetensors")
    )  # the paper's "L2, fine-tuned"
    network = build_network(tuned, goal(tuned), None).state_dict()
    same = {name for name in full if network[name].shape == full[name].shape and torch.equal(network[name], full[name])}
    assert set(full) - same == {"layers.out.0.weight", "layers.out.0.bias"}


def test_weights_to_go_on_from_must_be_there_and_as_wide(tmp_path):
    saved(tmp_path, width=0.06)
    wrong = replace(TINY, objective="rebalanced", initialization=str(tmp_path / "OBJECTIVE.safetensors"))
    with pytest.raises(ValueError, match="of width 0.06, width must be so too, got 0.03"):
        build_network(wrong, goal(wrong), None)
    with pytest.raises(WeightsError, match="nowhere.safetensors: no such weights file"):
        build_network(replace(TINY, initialization="nowhere.safetensors"), goal(), None)


# -- runs ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(photos, held_out, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    lines = []
    return folder, train(photos, held_out, TINY, goal(), folder, lines.append), lines


def test_grain():
    """Of a photograph's own deviation, between none and the most; the same for the same random state."""
    plain = torch.full((200, 1, 32, 32), 50.0)
    torch.manual_seed(0)
    found = grainy(plain, 4.0)
    level = found.std((1, 2, 3))
    assert float(level.max()) < 4.5 and float(level.min()) < 0.3
    assert float(level.mean()) == pytest.approx(2, abs=0.2)
    assert float((found - plain).mean()) == pytest.approx(0, abs=0.02)
    torch.manual_seed(0)
    assert torch.equal(grainy(plain, 4.0), found)


def test_the_running_average_by_hand(photos, held_out, tmp_path):
    """The first step's weights are taken whole; then each step adds a quarter of its own to three quarters."""
    settings, expected, seen = replace(TINY, average=0.75, steps=4, validate_every=4), None, []
    run = loop.Run(photos, held_out, settings, goal(), tmp_path, quiet, 3, open_fabric("cpu"))
    for step in range(4):
        run.optimizer.param_groups[0]["lr"] = 2e-3
        run.progress.add(step, run.step(step, run.settings.crop), 2e-3, 0.5)
        weight = run.network.layers["conv4_2"][0].weight.detach().double()
        expected = weight if expected is None else 0.75 * expected + 0.25 * weight
        seen.append(weight)
    found = run.result.layers["conv4_2"][0].weight.detach().double()
    assert torch.allclose(found, expected, atol=1e-7)
    assert not torch.allclose(found, seen[-1], atol=1e-5), "it lags behind"
    assert run.result is not run.network
    run.validate(4, 2e-3)
    kept, *_ = load_weights(tmp_path / "best.safetensors", ab_bins())
    assert torch.equal(kept.layers["conv4_2"][0].weight, run.result.layers["conv4_2"][0].weight)


def same_state(one, other):
    one, other = (load_file(max(folder.glob("step-*.safetensors"))) for folder in (one, other))
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def without_speed(history):
    return [{name: value for name, value in row.items() if name != "photos_per_second"} for row in history]


def test_a_run_leaves_weights_curve_and_history(finished):
    folder, result, lines = finished
    assert sorted(path.name for path in folder.iterdir()) == [
        "best.safetensors",
        "curve.csv",
        "step-00000002.safetensors",
        "step-00000004.safetensors",
        "step-00000006.safetensors",
    ]
    with open(result.curve) as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "step",
        "learning_rate",
        "training_loss",
        "validation_loss",
        "auc",
        "auc_rebalanced",
        "photos_per_second",
    ]
    assert [int(row["step"]) for row in rows] == [row["step"] for row in result.history] == [2, 4, 6]
    assert all(0 <= row["auc"] <= 1 and 0 <= row["auc_rebalanced"] <= 1 for row in result.history)
    assert lines[0].startswith("classification: starting, 6 steps of 4 crops of 16 px from 24 photographs, width 0.03")
    assert any("step 6/6" in line and "photographs/s" in line for line in lines)


def test_the_best_weights_load_in_the_colorizer(finished):
    folder, result, _ = finished
    header = read_header(result.weights)
    assert header["settings"] == asdict(TINY) and header["short_side"] == 32 and header["trained_on"] == 24
    best = min(result.history, key=lambda row: row["validation_loss"])
    assert header["step"] == best["step"] and header["scores"]["validation_loss"] == best["validation_loss"]
    colorizer = Colorizer.load(result.weights)
    assert colorizer.short_side == 32 and colorizer.colorize(np.full((20, 30), 90, np.uint8)).shape == (
        20,
        30,
        3,
    )


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(finished, photos, held_out, tmp_path):
    torch.rand(7)  # the state of the global generator does not matter
    again = train(photos, held_out, TINY, goal(), tmp_path / "again", quiet)
    assert same_state(finished[0], tmp_path / "again")
    assert without_speed(again.history) == without_speed(finished[1].history)
    train(photos, held_out, replace(TINY, seed=5), goal(), tmp_path / "other", quiet)
    assert not same_state(finished[0], tmp_path / "other")


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["regression", "classification", "rebalanced"])
def test_the_loss_falls(photos, held_out, tmp_path, objective):
    settings = replace(
        TINY,
        objective=objective,
        width=0.0625,
        steps=40,
        batch=8,
        crop=32,
        validate_every=20,
        schedule="cosine 5e-3",
    )
    history = train(photos, held_out, settings, goal(settings), tmp_path, quiet).history
    assert history[1]["training_loss"] < 0.95 * history[0]["training_loss"]


def test_accumulation_makes_the_same_step_where_statistics_do_not_matter(photos, held_out, tmp_path, monkeypatch):
    """Two parts of four photographs, or all eight at once.

    The gradients add up, on a network without batch normalisation.
    """
    found = {}
    for parts in (1, 2):
        settings = replace(TINY, batch=8, accumulate=parts, steps=1, validate_every=1)
        run = loop.Run(photos, held_out, settings, goal(), tmp_path / str(parts), quiet, 1, open_fabric("cpu"))
        for layer in run.network.layers.values():
            if len(layer) == 3:
                layer[2] = torch.nn.Identity()
        run.optimizer.zero_grad = lambda set_to_none: None
        loss = run.step(0, run.settings.crop)
        found[parts] = (
            float(loss),
            torch.cat([value.grad.flatten() for value in run.network.parameters() if value.grad is not None]),
        )
    assert found[1][0] == pytest.approx(found[2][0], rel=1e-5)
    assert float((found[1][1] - found[2][1]).abs().max()) < 1e-5 * float(found[1][1].abs().max())


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("objective", ["regression", "classification", "rebalanced"])
def test_the_input_is_one_graph_that_asks_no_value(photos, held_out, tmp_path, objective):
    """From bytes to targets without a break: what a GPU fuses, and never has its host wait for."""
    settings = replace(TINY, objective=objective)
    run = loop.Run(photos, held_out, settings, goal(settings), tmp_path, quiet, 1, open_fabric("cpu"))
    crops = photos[:4, :16, :16]
    graph = torch.compile(run._encoded, fullgraph=True, backend="eager")
    lightness, targets = graph(torch.from_numpy(crops.copy()))
    expected, wanted = run._encoded(crops)
    assert torch.allclose(lightness, expected, atol=1e-3) and len(targets) == len(wanted)
    assert all(
        torch.allclose(one.double(), other.double(), atol=1e-3) for one, other in zip(targets, wanted, strict=True)
    )


@pytest.mark.usefixtures("unchecked")
@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("c++") or shutil.which("g++")), reason="torch.compile needs a C++ compiler")
def test_compiled_training_learns_the_same(photos, held_out, tmp_path):
    settings = replace(TINY, steps=4, validate_every=4)
    losses = [
        train(photos, held_out, replace(settings, compiled=compiled), goal(), tmp_path / str(compiled), quiet).history[
            -1
        ]["validation_loss"]
        for compiled in (False, True)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_growing_and_resized_crops_are_what_the_network_sees(photos, held_out, tmp_path, monkeypatch):
    """Crops of 16 for the first half of the steps, then of 24, cut from windows of 16 and 24 up to 32 pixels."""
    settings = replace(TINY, growing="16:0.5", crop=24, resized=True, faded=0.1, noise=2, steps=4)
    seen, sides, cut_as_ever = [], [], loop.cut

    def watched(photos, where, side):
        sides.append(side)
        return cut_as_ever(photos, where, side)

    monkeypatch.setattr(loop, "cut", watched)
    run_loss = loop.Run.step
    monkeypatch.setattr(loop.Run, "step", lambda run, step, crop: seen.append(crop) or run_loss(run, step, crop))
    result = train(photos, held_out, settings, goal(), tmp_path, quiet)
    assert seen == [16, 16, 24, 24] and len(result.history) == 2
    assert sides == [window_side(32, crop, 0, step) for step, crop in enumerate(seen)]


class Clock:
    """Stands for the module `time`: each question takes a second."""

    def __init__(self, now=0.0):
        self.now = now

    def monotonic(self):
        self.now += 1
        return self.now


def test_a_training_by_the_clock_ends_when_its_time_is_up(photos, held_out, tmp_path, monkeypatch):
    """One minute, a second a step: 59 steps and no more, the rate at the end near 0, however many `steps` allow."""
    monkeypatch.setattr(loop, "time", Clock())
    settings = replace(TINY, minutes=1, steps=10**6, schedule="cosine 1e-3", validate_every=10**6)
    lines = []
    result = train(photos, held_out, settings, goal(), tmp_path, lines.append)
    assert "1 minutes of 4 crops" in lines[0]
    assert 50 <= result.history[-1]["step"] < 60
    assert 0 < result.history[-1]["learning_rate"] < 1e-5
    short = replace(settings, steps=3, validate_every=3)
    assert train(photos, held_out, short, goal(), tmp_path / "short", quiet).history[-1]["step"] == 3


def test_time_before_an_interruption_counts(photos, held_out, tmp_path, monkeypatch):
    settings = replace(TINY, minutes=1, steps=10**6, schedule="cosine 1e-3", validate_every=20)
    monkeypatch.setattr(loop, "time", Clock())
    whole = train(photos, held_out, settings, goal(), tmp_path / "whole", quiet).history[-1]["step"]

    class Interrupted(Exception):
        pass

    def report(line):
        if "step 40:" in line:
            raise Interrupted

    monkeypatch.setattr(loop, "time", Clock())
    with pytest.raises(Interrupted):
        train(photos, held_out, settings, goal(), tmp_path / "cut", report)
    monkeypatch.setattr(loop, "time", Clock(now=10**6))  # another day
    again = train(photos, held_out, settings, goal(), tmp_path / "cut", quiet).history[-1]["step"]
    assert abs(again - whole) <= 3


def test_kmeans_and_automatic_precision_run(photos, held_out, tmp_path):
    settings = replace(TINY, initialization="kmeans", precision="auto", crop=32, steps=2)
    assert np.isfinite(train(photos, held_out, settings, goal(), tmp_path, quiet).history[-1]["validation_loss"])


# -- what is refused -------------------------------------------------------------------------------------------------


def test_what_does_not_go_together_is_refused_before_anything_is_written(photos, held_out, tmp_path):
    for arguments, message in (
        (
            (photos, held_out, TINY, goal(replace(TINY, objective="regression"))),
            "the objective must be too, got 'regression'",
        ),
        ((photos, held_out, replace(TINY, crop=40), goal()), "too small for crops of 40"),
        ((photos, held_out[:, :8, :8], TINY, goal()), "stored at 8 pixels, too small"),
        ((photos[:0], held_out, TINY, goal()), "no photographs"),
    ):
        with pytest.raises(ValueError, match=message):
            train(*arguments, tmp_path / "run", quiet)
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_no_number_stops_the_run(photos, held_out, tmp_path, monkeypatch):
    """NaN from step 3 on: the checkpoint of step 2 stays, and the message says so."""
    original, calls = loop.to_example, []

    def poisoned(rgb8):
        lightness, ab = original(rgb8)
        calls.append(len(rgb8))
        return (lightness * np.nan, ab) if calls.count(TINY.batch) > 3 else (lightness, ab)

    monkeypatch.setattr(loop, "to_example", poisoned)
    with pytest.raises(TrainingDiverged) as caught:
        train(photos, held_out, TINY, goal(), tmp_path, quiet)
    message = str(caught.value)
    assert "the loss of classification became nan at step 3, learning rate 0.002" in message
    assert f"the last good checkpoint is {tmp_path / 'step-00000002.safetensors'}" in message
    assert "Try a lower rate in train.schedule (now '0:2e-3')" in message
    assert all(value.isfinite().all() for value in load_file(tmp_path / "step-00000002.safetensors").values())


@pytest.mark.parametrize("validate_every", [1, 6])
@pytest.mark.parametrize("objective", ["classification", "regression"])
def test_too_high_a_rate_is_told_as_such(photos, held_out, tmp_path, validate_every, objective):
    """Whether training or validation meets it first."""
    settings = replace(TINY, objective=objective, schedule="0:1e30", validate_every=validate_every)
    with pytest.raises(TrainingDiverged, match=r"became (nan|inf) at step \d, learning rate 1e\+30; no checkpoint yet"):
        train(photos, held_out, settings, goal(settings), tmp_path, quiet)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("schedule", ["0:-1e-3", "0:nan", "0:inf", "cosine -1", "cosine nan", "0:1e-3 5:1e-4 5:1e-5"])
def test_a_rate_must_be_a_number_and_steps_must_rise(schedule):
    with pytest.raises(ValueError, match="schedule"):
        learning_rate(schedule, 0, 10)

"""Held-out figures: by hand, beside scikit-image, and against raw accuracy in one pass."""

import csv
import gzip
import io
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio

from repro.__main__ import main
from repro.bins import ab_bins
from repro.colorizer import Colorizer
from repro.colorizer.weights import save_weights
from repro.commands.measure import as_csv, read_set
from repro.evaluation.held_out import HeldOut, ab_of, colorfulness, measure, psnr, steps, summary
from repro.evaluation.raw_accuracy import RawAccuracy
from repro.evaluation.semantic import Classifier
from repro.objectives import Objective


def pictures(count=4, size=12, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


@pytest.fixture
def photos():
    """Pictures with large areas of few colours, so that bins differ in how common they are."""
    return pictures(5, 4).repeat(4, 1).repeat(4, 2) // 3 * 2


# ---- one figure at a time ----


def test_psnr_by_hand_and_as_scikit_image_has_it():
    """Every value off by 51 = 255 / 5: 10 log10 25 = 13.979 dB."""
    truth = np.full((1, 4, 4, 3), 100, np.uint8)
    assert psnr(truth, truth + np.uint8(51)) == pytest.approx([13.9794], abs=1e-4)
    assert psnr(truth, truth) == [np.inf]
    one, other = pictures(3), pictures(3, seed=1)
    theirs = [peak_signal_noise_ratio(a, b) for a, b in zip(one, other, strict=True)]
    assert psnr(one, other) == pytest.approx(theirs, rel=1e-5)


def test_colorfulness_by_hand():
    """Half red (255, 0, 0), half blue (0, 0, 255): rg is 255 and 0, yb 127.5 and -255.

    Deviations 127.5 and 191.25, means 127.5 and -63.75: 229.85 + .3 x 142.55 = 272.6.
    """
    picture = np.zeros((1, 2, 2, 3), np.uint8)
    picture[0, 0, :, 0] = picture[0, 1, :, 2] = 255
    expected = np.hypot(127.5, 191.25) + 0.3 * np.hypot(127.5, 63.75)
    assert colorfulness(picture) == pytest.approx([expected], rel=1e-6)


@given(st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_gray_has_no_colorfulness_and_mixing_with_gray_lessens_it(level, seed):
    assert colorfulness(np.full((1, 3, 3, 3), level, np.uint8)) == [0]
    vivid = pictures(1, 6, seed)
    gray = vivid.mean(3, keepdims=True)
    assert colorfulness(((vivid + gray) / 2).astype(np.uint8))[0] < colorfulness(vivid)[0]


# ---- of a set ----


def test_weighted_means_of_the_rows_are_the_raw_accuracy_of_the_set(photos):
    colored = pictures(5, 16, seed=3)
    rows = HeldOut("some", photos, list("abcde")).rows("mine", colored)
    found = summary(rows)["some"]["mine"]
    whole = RawAccuracy(ab_bins()).add(ab_of(colored), ab_of(photos))
    assert found["auc"]["mean"] == pytest.approx(whole.auc(), abs=1e-6)
    assert found["auc_rebalanced"]["mean"] == pytest.approx(whole.auc(rebalanced=True), abs=1e-6)
    assert found["psnr"]["mean"] == pytest.approx(psnr(photos, colored).mean())
    assert found["auc"]["low"] < found["auc"]["mean"] < found["auc"]["high"]


def test_truth_is_perfect_and_has_no_psnr(photos):
    rows = HeldOut("some", photos, list("abcde")).rows("truth", photos)
    found = summary(rows)["some"]["truth"]
    assert found["auc"]["mean"] == found["auc_rebalanced"]["mean"] == 1
    assert "psnr" not in found


def test_every_method_and_classifier(photos, tiny_network, bins):
    """A classifier that answers by the mean of red: it knows the truth, and gray only where that is as red."""
    level = photos[..., 0].mean((1, 2))
    classes = ("dull", "red")
    labels = (level > np.median(level)).astype(int)

    def logits(shown):
        above = torch.from_numpy(shown[..., 0].mean((1, 2)) - np.median(level))
        return torch.stack((-above, above, torch.full_like(above, -999)), 1).float()

    clever = Classifier("by red", ("dull", "red", "other"), logits)
    blind = Classifier("knows neither", ("x", "y"), logits)
    models = {"classification": Colorizer(tiny_network(), bins, "classification", short_side=16)}
    lines = []
    some = HeldOut("some", photos, list("abcde"), labels, classes)
    rows = measure(some, models, [clever, blind], lines.append)
    assert [row["method"] for row in rows[::5]] == ["truth", "gray", "random", "classification"]
    found = summary(rows)["some"]
    assert found["truth"]["top1 by red"]["mean"] == 1
    assert found["gray"]["top1 by red"] == found["gray"]["top1 of 2 by red"]
    assert "top1 knows neither" not in found["truth"] and len(lines) == 4


# ---- from files ----


def folder_of(path, count=4):
    import PIL.Image

    for index, picture in enumerate(pictures(count, 24)):
        place = path / ("cats" if index % 2 else "dogs")
        place.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(picture[: 24 - index]).save(place / f"{index}.png")
    PIL.Image.fromarray(np.full((24, 24), 99, np.uint8)).save(path / "cats" / "gray.png")
    (path / "cats" / "broken.jpg").write_bytes(b"no picture")
    return path


def test_reading_a_set(tmp_path, capsys):
    found = read_set("some", folder_of(tmp_path / "photos"))
    assert found.photos.shape == (4, 21, 21, 3), "the shortest short side"
    assert sorted(found.names) == ["cats/1.png", "cats/3.png", "dogs/0.png", "dogs/2.png"]
    assert found.classes == ["cats", "dogs"]
    assert [found.classes[label] for label in found.labels] == [name.split("/")[0] for name in found.names]
    assert "broken.jpg" in capsys.readouterr().err
    assert len(read_set("some", tmp_path / "photos", size=16, limit=3).names) == 3


def test_rows_survive_as_csv():
    rows = [{"set": "some", "auc": 0.123456789, "pixels": 100}, {"set": "some", "auc": 0.5, "pixels": 7, "top1": 1}]
    text = gzip.decompress(as_csv(rows)).decode()
    assert list(csv.DictReader(io.StringIO(text))) == [
        {"set": "some", "auc": "0.12346", "pixels": "100", "top1": ""},
        {"set": "some", "auc": "0.5", "pixels": "7", "top1": "1"},
    ]
    assert as_csv(rows) == as_csv(rows)


@pytest.fixture
def models(tmp_path, tiny_network, bins):
    for name in ("regression", "rebalanced"):
        goal = Objective(name, bins, torch.ones(313) if name == "rebalanced" else None)
        network = tiny_network(goal.outputs)
        save_weights(tmp_path / "models" / f"{name}.safetensors", network, goal, short_side=16)
    return tmp_path / "models"


def test_the_command(tmp_path, models, capsys):
    out = tmp_path / "found.json"
    place = folder_of(tmp_path / "photos")
    assert main(["measure", f"pets={place}", "--models", str(models), "--out", str(out)]) == 0
    record = json.loads(out.read_text())
    assert list(record["held_out"]["pets"]) == ["truth", "gray", "random", "regression", "rebalanced"]
    assert record["models"]["rebalanced"]["short_side"] == 16 and "jackknife" in record["intervals"]
    rows = list(csv.DictReader(io.StringIO(gzip.decompress((tmp_path / "found.csv.gz").read_bytes()).decode())))
    assert len(rows) == 5 * 4
    assert "pets: rebalanced measured on 4 photographs" in capsys.readouterr().out


def test_a_model_decoded_otherwise_stands_beside_itself(tmp_path, models):
    out = tmp_path / "found.json"
    place = folder_of(tmp_path / "photos")
    assert main(["measure", f"pets={place}", "--models", str(models), "--decode", "rebalanced", "--out", str(out)]) == 0
    record = json.loads(out.read_text())
    assert {"rebalanced", "rebalanced, mode", "rebalanced, mean"} < set(record["held_out"]["pets"])
    leads = record["differences"]["pets"]["rebalanced, mode - rebalanced"]
    assert leads["steps"]["mean"] > 0 and leads["auc_rebalanced"]["low"] <= leads["auc_rebalanced"]["high"]
    assert record["models"]["rebalanced, mean"]["decoding"] == "mean"


def test_steps_by_hand():
    """Two columns (3, 4) and (0, 0): 5 across, 0 down."""
    ab = torch.tensor([[[[3.0, 4], [0, 0]], [[3, 4], [0, 0]]]])
    assert steps(ab) == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pets=.", "--decode", "nobody"], "--decode nobody: there is no such model; there are regression, rebalanced"),
        (["pets"], "expected NAME=FOLDER"),
        (["pets=/nowhere"], "is not a folder"),
        (["pets=."], "0 colour photographs"),
        (["pets=.", "--models", "/nowhere"], "no weights, NAME.safetensors, in /nowhere"),
        (["pets=.", "--classifier", "nobody"], "names no classifier"),
    ],
)
def test_what_cannot_be_measured_is_one_line(arguments, message, models, tmp_path, monkeypatch, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    known = [] if "--models" in arguments else ["--models", str(models)]
    assert main(["measure", *arguments, *known, "--out", "x.json"]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (empty / "x.json").exists()

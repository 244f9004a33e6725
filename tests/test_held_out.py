"""Held-out figures: by hand, beside scikit-image, and against raw accuracy in one pass."""

import argparse
import csv
import gzip
import io
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy
from skimage.metrics import peak_signal_noise_ratio

from repro import paths
from repro.__main__ import main
from repro.bins import ab_bins
from repro.color import rgb8_to_lab
from repro.colorizer import Colorizer, release
from repro.colorizer.weights import MODELS, WeightsError, save_weights
from repro.commands.measure import as_csv, open_models, random_from, warn_of_seen_photographs
from repro.commands.measuring import read_names, read_set, sets_of
from repro.encoding import densify, soft_encode
from repro.evaluation import baselines
from repro.evaluation.choices import PRINTS, changes, compare_choices, faded
from repro.evaluation.classifiers import Classifier
from repro.evaluation.held_out import HeldOut, ab_of, colorfulness, measure, psnr, steps, summary
from repro.evaluation.raw_accuracy import RawAccuracy
from repro.evaluation.temperature import divergence, scan_temperature
from repro.objectives import Objective
from repro.pages.tables import choices_table, probes_table, temperature_table


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


def test_random_takes_the_colours_of_a_folder_to_train_on(tmp_path, models):
    """One red photograph to train on: every random picture has its ab."""
    import PIL.Image

    place, training = folder_of(tmp_path / "photos"), tmp_path / "to_train_on"
    (training / "red").mkdir(parents=True)
    PIL.Image.fromarray(np.full((40, 50, 3), [170, 100, 100], np.uint8)).save(training / "red/1.png")
    command = ["measure", f"pets={place}", "--models", str(models), "--limit", "3", "--out", str(tmp_path / "f.json")]
    assert main([*command, "--random-from", str(training)]) == 0
    record = json.loads((tmp_path / "f.json").read_text())
    assert record["random_from"] == {"pets": "to_train_on (1)"}
    from_red = record["held_out"]["pets"]["random"]
    assert main(command) == 0
    record = json.loads((tmp_path / "f.json").read_text())
    assert record["random_from"] == {"pets": "the others of the set"}
    assert record["held_out"]["pets"]["gray"]["auc"] != from_red["auc"] != record["held_out"]["pets"]["random"]["auc"]
    (held_out,) = sets_of(argparse.Namespace(sets=[f"pets={place}"], size=None, limit=3))
    squares, _ = random_from(training, held_out)
    assert squares.shape == (1, *held_out.photos.shape[1:]) and (squares == [170, 100, 100]).all()
    expected = HeldOut("pets", held_out.photos, held_out.names).rows(
        "random", baselines.painted(held_out.photos, np.repeat(squares, 3, 0))
    )
    assert summary(expected)["pets"]["random"]["auc"] == pytest.approx(from_red["auc"])


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
        (["pets=PHOTOS", "--random-from", "/nowhere"], "/nowhere is not a folder"),
        (["pets=PHOTOS", "--random-from", "."], "--random-from needs the training photographs"),
        (["pets=.", "--models", "/nowhere"], "no weights, NAME.safetensors, in /nowhere"),
        (["pets=.", "--classifier", "nobody"], "names no classifier"),
    ],
)
def test_what_cannot_be_measured_is_one_line(arguments, message, models, tmp_path, monkeypatch, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    if "pets=PHOTOS" in arguments:
        arguments = [f"pets={folder_of(tmp_path / 'photos', count=3)}", *arguments[1:]]
        (tmp_path / "photos/cats/broken.jpg").unlink()
        (tmp_path / "photos/cats/gray.png").unlink()
    known = [] if "--models" in arguments else ["--models", str(models)]
    assert main(["measure", *arguments, *known, "--out", "x.json"]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (empty / "x.json").exists()


# ---- models by name, photographs by name, temperature ----


def test_models_by_folder_name_and_file(models):
    found = open_models([str(models), "encoder"])
    assert list(found) == ["regression", "rebalanced", "encoder"]
    assert list(open_models([str(models / "regression.safetensors")])) == ["regression"]
    assert list(open_models(None)) == list(MODELS)
    with pytest.raises(WeightsError, match="two models are called rebalanced"):
        open_models([str(models), "rebalanced"])


def test_only_the_photographs_of_a_list_count(tmp_path, models, capsys):
    """By path, by name and by name without ending; a note and an empty line are no names."""
    place = folder_of(tmp_path / "photos")
    (tmp_path / "list.txt").write_text("# three\ncats/1.png\n\n0.png\n3\nelsewhere\n")
    out = tmp_path / "found.json"
    command = ["measure", f"pets={place}", "--models", str(models), "--out", str(out), "--names"]
    assert main([*command, str(tmp_path / "list.txt")]) == 0
    assert json.loads(out.read_text())["photographs"] == {"pets": 3}
    rows = csv.DictReader(io.StringIO(gzip.decompress((tmp_path / "found.csv.gz").read_bytes()).decode()))
    assert {row["photograph"] for row in rows} == {"cats/1.png", "dogs/0.png", "cats/3.png"}
    assert "3 photographs of the 4 that the list names" in capsys.readouterr().out
    (tmp_path / "empty.txt").write_text("# nobody\n")
    for name, message in (("empty.txt", "names no photograph"), ("none.txt", "cannot be read: No such file")):
        assert main([*command, str(tmp_path / name)]) == 1
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1


def test_photographs_that_the_authors_weights_have_seen(photos, tiny_network, bins, capsys):
    """ImageNet's training photographs, and the first 10,000 to validate on."""
    names = [
        "church/n03028079_1.JPEG", "ILSVRC2012_val_00010000.jpg", "ILSVRC2012_val_00010001.jpg", "n0302.jpg",
        "DSC_0001.jpg",
    ]  # fmt: skip
    assert [release.has_seen(name) for name in names] == [True, True, False, False, False]
    held_out = HeldOut("some", photos, names)
    ours = Colorizer(tiny_network(), bins, "classification")
    warn_of_seen_photographs(held_out, {"ours": ours})
    assert not capsys.readouterr().err
    theirs = Colorizer(tiny_network(), bins, "rebalanced", header=release.ORIGIN)
    warn_of_seen_photographs(held_out, {"ours": ours, "release": theirs})
    assert "have seen 2 of these 5 photographs" in capsys.readouterr().err


def test_the_list_of_unseen_photographs_is_fair():
    """331 of Imagenette, as the names in ImageNet have it."""
    names = read_names(paths.ROOT / "conf/unseen_by_release.txt")
    assert len(names) == 331 and not any(map(release.has_seen, names))
    assert all(name.startswith("ILSVRC2012_val_") and len(name) == 23 for name in names)


def test_divergence_is_scipys_and_zero_for_the_target_itself(bins):
    """`scipy.stats.entropy` of the dense target relative to the softmax, pixel by pixel."""
    ab = torch.tensor([[[[3.0, 4.0], [50.0, 20.0]], [[-20.0, 9.0], [0.0, 0.0]]]])
    indices, weights = soft_encode(ab, bins, 10)
    target = densify(indices, weights, len(bins))
    logits = torch.randn(1, len(bins), 2, 2, generator=torch.Generator().manual_seed(0))
    shares = logits.softmax(1).permute(0, 2, 3, 1)
    assert divergence(logits, indices, weights).item() == pytest.approx(
        entropy(target, shares, axis=-1).mean(), rel=1e-4
    )
    perfect = target.clamp(min=1e-12).log().permute(0, 3, 1, 2)
    assert divergence(perfect, indices, weights).item() == pytest.approx(0, abs=1e-4)


class Sharpened:
    """Knows the shares of two colours in noise that has them, but tells logits that are too sharp by a factor."""

    objective = "classification"

    def __init__(self, bins, factor):
        ab = torch.tensor(rgb8_to_lab(TWO[None, None])[0, 0][:, 1:])
        indices, weights = soft_encode(ab, bins, 10)
        shares = (torch.tensor([0.7, 0.3])[:, None] * densify(indices, weights, len(bins))).sum(0)
        self.logits = factor * shares.clamp(min=1e-6).log()[None, :, None, None]

    def small(self, photo):
        return photo

    def predict(self, lightness):
        return self.logits.expand(len(lightness), -1, lightness.shape[2] // 4, lightness.shape[3] // 4)


TWO = np.array([[200, 80, 70], [60, 120, 200]], np.uint8)


def test_the_scan_finds_the_temperature_that_was_put_in(bins):
    """Logits 2.6 times too sharp, as with the Caffe release's scale folded in, are nearest at T = 2.6; sound ones at 1.

    A model that knows the photographs' shares of colours, and no more, has the KL of their mean colours.
    """
    noise = (np.random.default_rng(0).random((40, 32, 32)) < 0.3).astype(int)
    found = scan_temperature(
        TWO[noise], {"sound": Sharpened(bins, 1), "folded": Sharpened(bins, 2.6)}, lambda line: None
    )
    assert {name: scan["nearest"] for name, scan in found.items()} == {"sound": "1", "folded": "2.6"}
    sound = found["sound"]["temperatures"]["1"]
    assert sound["kl"]["mean"] == pytest.approx(found["sound"]["constant"], abs=0.01)
    assert sound["kl"]["low"] < sound["kl"]["mean"] < sound["kl"]["high"]
    lead = found["sound"]["over_constant"]
    assert lead["mean"] == pytest.approx(sound["kl"]["mean"] - found["sound"]["constant"], abs=1e-6)
    assert abs(lead["mean"]) < 0.01, "a model that knows the shares alone is neither nearer nor further"
    assert found["folded"]["over_constant"]["low"] > 0.1, "read at T = 1 its sharpened shares are far off"
    assert found["folded"]["temperatures"]["2.6"]["kl"]["mean"] == pytest.approx(sound["kl"]["mean"], abs=1e-4)
    assert found["folded"]["temperatures"]["2.6"]["auc"]["mean"] == pytest.approx(sound["auc"]["mean"], abs=1e-6)


def test_the_scan_as_a_command(tmp_path, models, capsys):
    """A network without logits has no temperature; the table has a row for the one that has."""
    out = tmp_path / "found.json"
    place = folder_of(tmp_path / "photos")
    command = ["measure", f"pets={place}", "--models", str(models), "--scan-temperature", "--out", str(out)]
    assert main(command) == 0
    record = json.loads(out.read_text())
    assert list(record["temperature"]["pets"]) == ["rebalanced"] and record["photographs"] == {"pets": 4}
    assert record["temperature"]["pets"]["rebalanced"]["values"] == 16
    assert not (tmp_path / "found.csv.gz").exists()
    lines = temperature_table(record).splitlines()
    assert lines[2].startswith("| pets (4) | rebalanced | ") and "KL at T = 0.38" in lines[0]
    assert lines[0].count("|") == lines[2].count("|")


# ---- choices at test time ----


def test_a_change_that_helps_is_found(models):
    """A network's photographs are made the truth with four fifths of its colours: chroma x 0.8 is then ahead.

    A blend with a model of the same answers changes nothing, and neither does what is not used.
    """
    rebalanced = Colorizer.load(models / "rebalanced.safetensors")
    photos = pictures(6, 32)
    true = changes(rebalanced, {})["chroma x 0.8"]
    held = HeldOut("pets", np.stack([true.colorize(photo) for photo in photos]), [str(number) for number in range(6)])
    twin = Colorizer.load(models / "rebalanced.safetensors")
    found = compare_choices(held, {"rebalanced": rebalanced, "twin": twin}, lambda line: None)["rebalanced"]["changes"]
    assert found["chroma x 0.8"]["auc"]["low"] > 0
    assert found["chroma x 0.8"]["auc"]["mean"] > found["chroma x 0.9"]["auc"]["mean"] > 0
    assert found["chroma x 1.1"]["auc"]["high"] < 0
    assert found["40% of twin"]["auc"]["mean"] == pytest.approx(0, abs=1e-3)
    assert {"side 128", "guided", "mirrored", "as_scan", "temperature 1", PRINTS[False]} <= found.keys()
    assert "temperature 0.38" not in found, "that is the model as it is"


def test_faded_prints_are_gray_and_flat():
    """L = 28 + .45 L: white becomes 73, and whatever had a colour has none."""
    prints = faded(np.array([[[[255, 255, 255], [0, 0, 0], [255, 0, 0]]]], np.uint8))
    lab = rgb8_to_lab(prints)[0, 0]
    assert lab[:, 0] == pytest.approx([73, 28, 28 + 0.45 * 53.24], abs=0.3)
    assert np.abs(lab[:, 1:]).max() < 0.1


def test_choices_as_a_command(tmp_path, models, capsys):
    """Every model has its block in the table; a regression has no temperature; both switches at once are refused."""
    out = tmp_path / "found.json"
    command = ["measure", f"pets={folder_of(tmp_path / 'photos')}", "--models", str(models), "--choices"]
    with pytest.raises(SystemExit):
        main([*command, "--scan-temperature", "--out", str(out)])
    assert main([*command, "--out", str(out)]) == 0
    record = json.loads(out.read_text())
    changed = {name: found["changes"] for name, found in record["choices"]["pets"].items()}
    assert changed.keys() == record["models"].keys()
    assert not any(change.startswith("temperature") for change in changed["regression"])
    assert not (tmp_path / "found.csv.gz").exists() and "held_out" not in record
    lines = choices_table(record).splitlines()
    assert lines[2].startswith("| `re") and "**as it comes along**" in lines[2]
    assert len({line.count("|") for line in lines[:-2]}) == 1


# ---- what frozen layers know ----


def stripes(folder, count=24, seed=0):
    """Two classes that gray tells apart: stripes across and stripes down, in colours drawn by chance."""
    import PIL.Image

    rng = np.random.default_rng(seed)
    for index in range(count):
        picture = np.repeat(np.repeat(rng.integers(0, 256, (1, 8, 3), dtype=np.uint8), 32, 0), 4, 1)
        name = ("across", "down")[index % 2]
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(picture if index % 2 else picture.swapaxes(0, 1)).save(place / f"{index}.png")


@pytest.fixture
def classes(tmp_path):
    for seed, part in enumerate(("train", "val")):
        stripes(tmp_path / "stripes" / part, seed=seed)
    return tmp_path / "stripes"


def test_probes_as_a_command(classes, models, tmp_path, capsys):
    out = tmp_path / "probes.json"
    command = ["probe", f"stripes={classes}", "--models", str(models / "rebalanced.safetensors"), "--size", "32"]
    assert main([*command, "--draw", "12", "--seeds", "2", "--out", str(out)]) == 0
    record = json.loads(out.read_text())
    found = record["layers"]["stripes"]
    assert (found["photographs"], found["test_photographs"], found["classes"]) == (24, 24, 2)
    assert list(found["networks"]) == ["rebalanced", "random", "k-means"]
    assert found["networks"]["k-means"]["conv1"] > 0.8, "filters tell stripes by their direction"
    lead = found["differences"]["rebalanced - k-means"]["conv5"]
    assert lead["low"] < lead["mean"] < lead["high"]
    expected = found["networks"]["rebalanced"]["conv5"] - found["networks"]["k-means"]["conv5"]
    assert lead["mean"] == pytest.approx(expected)
    header, _, row, *_ = probes_table(record).splitlines()
    assert len(header.split("|")) == len(row.split("|")) == 13 and row.startswith("| stripes (24 of 2 classes) |")
    assert "24 photographs to learn from, 24 to test on" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{classes}"], "expected NAME=FOLDER"),
        (["a={classes}", "--draw", "0"], "--draw must be at least 1, got 0"),
        (["a={classes}", "--size", "30"], "--size must be a multiple of 8"),
        (["a={classes}/train"], "is not a folder"),
        (["a={lone}"], "train and val must hold the same classes"),
        (["a={classes}", "--models", "encoder"], "encoder is of network encoder"),
        (["a={classes}", "--models", "/nowhere"], "no weights"),
        (["a={classes}", "--models", "{models}", "--models", "classification"], "of one width"),
    ],
)
def test_what_cannot_be_probed_is_one_line(arguments, message, classes, models, tmp_path, capsys):
    stripes(tmp_path / "lone/train")
    (tmp_path / "lone/val").mkdir()
    (tmp_path / "lone/val/across").symlink_to(classes / "val/across")
    known = [] if "--models" in arguments else ["--models", str(models)]
    places = {"classes": classes, "lone": tmp_path / "lone", "models": models}
    given = [word.format(**places) for word in arguments]
    assert main(["probe", *given, *known, "--out", str(tmp_path / "x.json")]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not (tmp_path / "x.json").exists()

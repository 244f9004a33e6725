"""Classifiers by name, and one trained here in the Hub's layout; no download."""

import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import MobileNetV2Config, MobileNetV2ForImageClassification, MobileNetV2ImageProcessor

from repro import encoder
from repro.encoder import EfficientNetLite0, Lite0Classifier
from repro.evaluation import semantic
from repro.evaluation.classifiers import (
    ClassifierError,
    match_classes,
    open_classifier,
    train_classifier,
)

COLORS = {"red": (200, 30, 30), "green": (30, 160, 30), "blue": (30, 30, 200)}


def painted(number, size=32, seed=0):
    """Plain colours with noise: photographs (3 number, size, size, 3) uint8 and labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(3 * number) % 3
    base = np.array(list(COLORS.values()))[labels][:, None, None]
    return (base + rng.integers(-25, 25, (3 * number, size, size, 3))).clip(0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classifier")
    photos, labels = painted(40)
    loss = train_classifier(photos, labels, tuple(COLORS), folder, steps=40, batch=16)
    return folder, loss


# ---- the classifier trained here ----


@pytest.mark.slow
def test_a_trained_classifier_knows_true_colours_and_gray_confuses_it(trained):
    folder, loss = trained
    classifier = open_classifier("trained", folder)
    photos, labels = painted(20, seed=1)
    outputs = match_classes(tuple(COLORS), classifier.outputs)
    assert outputs.tolist() == [0, 1, 2] and loss < 0.5
    versions = semantic.recolourings(photos, {})
    accuracy = {
        name: semantic.accuracy(semantic.ask(classifier, version, labels, outputs).rank).mean
        for name, version in versions.items()
    }
    assert accuracy["truth"] > 0.95
    assert accuracy["gray"] < 0.75 and accuracy["random"] < 0.75


def test_the_same_seed_trains_the_same_classifier(trained, tmp_path):
    photos, labels = painted(40)
    assert train_classifier(photos, labels, tuple(COLORS), tmp_path, steps=40, batch=16) == trained[1]


def test_a_trained_classifier_learns_on_from_where_it_was(trained, tmp_path):
    """Without a step it is the same one; taught with gray photographs it finds in gray what it could not."""
    photos, labels = painted(40)
    shapes = photos.copy()  # the class shows in the lightness of a corner, too
    shapes[np.arange(len(photos)), :16, :16] = (labels * 90)[:, None, None, None]
    gray = semantic.recolourings(shapes, {})["gray"]
    train_classifier(gray, labels, tuple(COLORS), tmp_path / "gray", steps=40, batch=16, start=trained[0])
    outputs = np.arange(3)
    found = {
        name: semantic.accuracy(semantic.ask(open_classifier("trained", place), gray, labels, outputs).rank).mean
        for name, place in (("before", trained[0]), ("after", tmp_path / "gray"))
    }
    assert found["after"] > 0.95 > 0.75 > found["before"]
    untouched = train_classifier(photos, labels, tuple(COLORS), tmp_path / "same", steps=1, rate=0, start=trained[0])
    assert untouched == pytest.approx(trained[1], abs=0.5)
    weights = [open_classifier("trained", place).logits(photos) for place in (trained[0], tmp_path / "same")]
    assert torch.allclose(*weights, atol=0.5)


def test_photographs_without_labels_train_nothing(tmp_path):
    photos, labels = painted(4)
    with pytest.raises(ValueError, match="labelled photographs"):
        train_classifier(photos, labels - 1, tuple(COLORS), tmp_path)
    with pytest.raises(ValueError, match="two classes"):
        train_classifier(photos, labels * 0, ("only",), tmp_path)


# ---- classifiers by name ----


def test_preprocessing_is_that_of_the_models_own_configuration(tmp_path):
    """A model whose configuration wants 48 pixels and other means: what reaches it is computed here by hand."""
    config = MobileNetV2Config(num_labels=4, depth_multiplier=0.35, min_depth=8, id2label=dict(enumerate("abcd")))
    torch.manual_seed(0)
    model = MobileNetV2ForImageClassification(config).eval()
    model.save_pretrained(tmp_path)
    mean, std = [0.2, 0.4, 0.6], [0.1, 0.2, 0.3]
    MobileNetV2ImageProcessor(
        size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48}, image_mean=mean, image_std=std
    ).save_pretrained(tmp_path)
    photos, _ = painted(1, size=48)  # of that size already, so nothing is resampled
    found = open_classifier(f"hub:{tmp_path}").logits(photos)
    pixels = (torch.from_numpy(photos).permute(0, 3, 1, 2) / 255 - torch.tensor(mean)[:, None, None]) / torch.tensor(
        std
    )[:, None, None]
    with torch.inference_mode():
        assert torch.allclose(found, model(pixels).logits, atol=1e-4)


def test_half_precision_weights_are_computed_in_single(trained, tmp_path):
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    AutoModelForImageClassification.from_pretrained(trained[0]).half().save_pretrained(tmp_path)
    AutoImageProcessor.from_pretrained(trained[0]).save_pretrained(tmp_path)
    photos, _ = painted(2)
    assert open_classifier(f"hub:{tmp_path}").logits(photos).dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "what_to_do"),
    [
        ("resnet", "use lite0, hub:"),
        ("hub:", "use lite0, hub:"),
        ("trained", "page 07 trains it"),
        ("lite0:", "use lite0, hub:"),
        ("lite0:nowhere/at/all", "the classifier lite0:nowhere/at/all names no file, folder"),
        ("lite0:{empty}", "does not hold EfficientNet-Lite0"),
        ("hub:{empty}", "neither a folder with config.json"),
        ("hub:nobody/has-this-model", "hf download nobody/has-this-model"),
    ],
)
def test_a_classifier_that_cannot_be_had_gives_one_line(name, what_to_do, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ClassifierError, match=what_to_do) as caught:
        open_classifier(name.format(empty=tmp_path), tmp_path / "none")
    assert "\n" not in str(caught.value)


def test_timm_missing_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ClassifierError, match=r"install .*\[timm\]"):
        open_classifier("timm:vgg16.tv_in1k")


# ---- EfficientNet-Lite0 ----


def released(seed=0):
    """Random weights under the release's names, for a file: block for block, then the head."""
    torch.manual_seed(seed)
    classifier = Lite0Classifier()
    theirs = {}
    for name, value in classifier.state_dict().items():
        if name.endswith("running_var"):
            value = value + torch.rand_like(value)
        theirs[encoder._released_as(name)] = value.contiguous()
    return theirs


@pytest.fixture(scope="module")
def lite0(tmp_path_factory):
    path = tmp_path_factory.mktemp("lite0") / "model.safetensors"
    theirs = released()
    save_file(theirs, path)
    return path, theirs


@pytest.mark.slow
def test_lite0_has_the_thousand_classes_of_imagenet_in_order(lite0):
    outputs = open_classifier(f"lite0:{lite0[0]}").outputs
    assert len(outputs) == 1000
    known = {0: "tench, Tinca tinca", 217: "English springer", 497: "church", 701: "parachute", 999: "toilet tissue"}
    assert all(outputs[index].startswith(name) for index, name in known.items())
    imagenette = ("tench", "English springer", "cassette player", "chain saw", "church", "French horn",
                  "garbage truck", "gas pump", "golf ball", "parachute")  # fmt: skip
    assert match_classes(imagenette, outputs).tolist() == [0, 217, 482, 491, 497, 566, 569, 571, 574, 701]


def test_lite0s_preprocessing_and_head_by_hand(lite0):
    """A photograph of 256 x 300: its middle 224 pixels, unchanged, as (x - 127) / 128; then mean and matrix."""
    path, theirs = lite0
    photos = np.random.default_rng(0).integers(0, 256, (2, 256, 300, 3), np.uint8)
    found = open_classifier(f"lite0:{path.parent}").logits(photos)
    middle = torch.from_numpy(photos[:, 16:240, 38:262]).permute(0, 3, 1, 2).float()
    network = Lite0Classifier().eval()
    encoder.load_encoder(network, str(path))
    with torch.inference_mode():
        x = network.encoder.stem[0]((middle - 127) / 128)
        stem = F.conv2d(F.pad((middle - 127) / 128, (0, 1, 0, 1)), theirs["_conv_stem.weight"], stride=2)
        assert torch.allclose(x, stem, atol=1e-4)
        last = network.encoder(middle / 255)[-1]
        norm = (theirs[f"_bn1.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
        seen = F.batch_norm(F.conv2d(last, theirs["_conv_head.weight"]), *norm, eps=1e-3).clamp(0, 6)
        expected = seen.mean((2, 3)) @ theirs["_fc.weight"].T + theirs["_fc.bias"]
    assert found.shape == (2, 1000) and torch.allclose(found, expected, atol=1e-4)


def test_lite0_in_gray_agrees_with_the_colourisers_encoder(lite0):
    """Three equal channels through the classifier's body are the one channel of the encoder that comes along."""
    gray = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    networks = Lite0Classifier().eval(), EfficientNetLite0().eval()
    for network in networks:
        encoder.load_encoder(network, str(lite0[0]))
    with torch.inference_mode():
        ours, theirs = networks[0].encoder(gray.expand(-1, 3, -1, -1)), networks[1](gray)
    assert torch.allclose(ours[-1], theirs[-1], atol=1e-4)


def test_lite0s_package_is_read_and_not_imported(lite0, tmp_path, monkeypatch):
    package = tmp_path / "a_package_of_weights"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    torch.save(lite0[1], package / "models" / "weights.pth")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(encoder, "PACKAGE", package.name)
    photos, _ = painted(1)
    found = open_classifier("lite0").logits(photos)
    assert torch.equal(found, open_classifier(f"lite0:{lite0[0]}").logits(photos))
    assert package.name not in sys.modules


def test_lite0_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(encoder, "PACKAGE", "a_package_that_is_not_there")
    with pytest.raises(ClassifierError, match=r"lite0 needs the package .*install .*\[encoder\]") as caught:
        open_classifier("lite0")
    assert "\n" not in str(caught.value)


# ---- names of classes ----


def test_classes_are_found_by_any_of_an_outputs_names():
    outputs = (
        "background",
        "tench, Tinca tinca",
        "English springer, English springer spaniel",
        "church, church building",
    )
    classes = ("english_springer", "Church", "tench", "chain saw")
    assert match_classes(classes, outputs).tolist() == [2, 3, 1, -1]


def test_a_name_that_two_outputs_share_is_no_match():
    assert match_classes(("crane",), ("crane, bird", "crane", "grue")).tolist() == [-1]


def test_imagenets_thousand_ids_go_by_order():
    classes = tuple(f"n{number:08d}" for number in range(1000))[::-1]
    assert match_classes(classes, ("x",) * 1000).tolist() == list(range(1000))[::-1]
    assert match_classes(classes, ("background",) + ("x",) * 1000)[0] == 1000

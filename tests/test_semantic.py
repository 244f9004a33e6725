"""Semantic interpretability: a classifier made here, in the Hub's layout; no download."""

import sys

import numpy as np
import pytest
import torch
from transformers import MobileNetV2Config, MobileNetV2ForImageClassification, MobileNetV2ImageProcessor

from repro.colorizer import Colorizer
from repro.datasets.world import WorldSource
from repro.evaluation import semantic
from repro.evaluation.semantic import Answers, Classifier, ClassifierError

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
    loss = semantic.train_classifier(photos, labels, tuple(COLORS), folder, steps=40, batch=16)
    return folder, loss


def answers(rank, certainty=None):
    rank = np.array(rank)
    return Answers(rank, rank, np.array(-rank if certainty is None else certainty, np.float32))


# ---- the classifier trained here ----


def test_a_trained_classifier_knows_true_colours_and_gray_confuses_it(trained):
    folder, loss = trained
    classifier = semantic.open_classifier("trained", folder)
    photos, labels = painted(20, seed=1)
    outputs = semantic.match_classes(tuple(COLORS), classifier.outputs)
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
    assert semantic.train_classifier(photos, labels, tuple(COLORS), tmp_path, steps=40, batch=16) == trained[1]


def test_photographs_without_labels_train_nothing(tmp_path):
    photos, labels = painted(4)
    with pytest.raises(ValueError, match="labelled photographs"):
        semantic.train_classifier(photos, labels - 1, tuple(COLORS), tmp_path)
    with pytest.raises(ValueError, match="two classes"):
        semantic.train_classifier(photos, labels * 0, ("only",), tmp_path)


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
    found = semantic.open_classifier(f"hub:{tmp_path}").logits(photos)
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
    assert semantic.open_classifier(f"hub:{tmp_path}").logits(photos).dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "what_to_do"),
    [
        ("resnet", "use hub:"),
        ("hub:", "use hub:"),
        ("trained", "page 07 trains it"),
        ("hub:{empty}", "neither a folder with config.json"),
        ("hub:nobody/has-this-model", "hf download nobody/has-this-model"),
    ],
)
def test_a_classifier_that_cannot_be_had_gives_one_line(name, what_to_do, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ClassifierError, match=what_to_do) as caught:
        semantic.open_classifier(name.format(empty=tmp_path), tmp_path / "none")
    assert "\n" not in str(caught.value)


def test_timm_missing_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ClassifierError, match=r"install .*\[timm\]"):
        semantic.open_classifier("timm:vgg16.tv_in1k")


# ---- names of classes ----


def test_classes_are_found_by_any_of_an_outputs_names():
    outputs = (
        "background",
        "tench, Tinca tinca",
        "English springer, English springer spaniel",
        "church, church building",
    )
    classes = ("english_springer", "Church", "tench", "chain saw")
    assert semantic.match_classes(classes, outputs).tolist() == [2, 3, 1, -1]


def test_a_name_that_two_outputs_share_is_no_match():
    assert semantic.match_classes(("crane",), ("crane, bird", "crane", "grue")).tolist() == [-1]


def test_imagenets_thousand_ids_go_by_order():
    classes = tuple(f"n{number:08d}" for number in range(1000))[::-1]
    assert semantic.match_classes(classes, ("x",) * 1000).tolist() == list(range(1000))[::-1]
    assert semantic.match_classes(classes, ("background",) + ("x",) * 1000)[0] == 1000


# ---- measuring ----


def test_ranks_and_certainty_by_hand():
    scores = torch.tensor([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0], [0.0, 0.0, 5.0]])
    classifier = Classifier("table", ("a", "b", "c"), lambda photos: scores[photos[:, 0, 0, 0].astype(int)])
    photos = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 1, 3), np.uint8)
    found = semantic.ask(classifier, photos, [0, 1, 1], np.array([0, 1]), batch=2)
    assert found.rank.tolist() == [0, 2, 1]  # b is third, then tied with a behind c
    assert found.among.tolist() == [0, 1, 0]  # c stands for no class of the data
    assert found.certainty[2] == pytest.approx(-np.log(np.exp(5) + 2))
    assert semantic.accuracy(found.rank, top=2).mean == pytest.approx(2 / 3)


def test_a_photograph_of_a_class_without_an_output_is_refused():
    classifier = Classifier("table", ("a",), lambda photos: torch.zeros(len(photos), 1))
    with pytest.raises(ValueError, match="does not have"):
        semantic.ask(classifier, np.zeros((1, 8, 8, 3), np.uint8), [1], np.array([0, -1]))


def test_classes_that_gain_and_lose():
    before, after = np.array([0, 0, 1, 1, 1]), np.array([1, 0, 1, 0, 0])
    rows = semantic.class_changes(before, after, [0, 0, 1, 2, 2], ("x", "y", "z"))
    assert rows == [("x", 0.5, 2), ("y", 0.0, 1), ("z", -1.0, 2)]


def test_telling_cases_are_those_whose_answer_changes_most():
    before = answers([1, 0, 2, 0, 0], [-3, -0.1, -5, -0.2, -0.3])
    after = answers([0, 3, 0, 0, 1], [-0.5, -4, -0.1, -0.2, -1])
    gained, lost = semantic.telling_cases(before, after)
    assert gained.tolist() == [2, 0] and lost.tolist() == [1, 4]
    assert semantic.telling_cases(before, after, most=1)[0].tolist() == [2]


def test_recolourings_keep_lightness_and_gray_has_no_colour(bins, tiny_network):
    from repro.color import rgb8_to_lab

    photos = WorldSource().bulk("test", 32, 6)[0]
    model = Colorizer(tiny_network(), bins, "classification", short_side=32)
    made = semantic.recolourings(photos, {"classification": model})
    assert list(made) == ["truth", "gray", "random", "classification"]
    lab = {name: rgb8_to_lab(version) for name, version in made.items()}
    assert np.abs(lab["gray"][..., 1:]).max() < 1  # 8 bits
    assert np.abs(lab["gray"][..., 0] - lab["truth"][..., 0]).max() < 0.5
    inside = np.abs(lab["random"][..., 0] - lab["truth"][..., 0])
    assert np.median(inside) < 0.5  # colours that sRGB cannot show at that lightness are clipped
    assert np.array_equal(made["truth"], photos) and made["classification"].shape == photos.shape
    assert not np.array_equal(made["random"], photos)

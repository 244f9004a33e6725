"""Linear probes: features on disk, a convex problem solved, VOC's average precision by hand."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import StandardScaler

from repro.color import rgb8_to_lightness
from repro.datasets.folder import SourceError
from repro.datasets.sources import open_source, prepare
from repro.datasets.voc import VOC_CLASSES
from repro.evaluation import representation as rep
from repro.evaluation.quality import average_precision, mean_average_precision


def blobs(number=300, features=20, classes=3, seed=0):
    """Gaussian clouds that overlap a little: (N, D) float16, (N,) int64."""
    rng = np.random.default_rng(seed)
    labels = np.arange(number) % classes
    centres = np.random.default_rng(99).normal(0, 1, (classes, features))
    return (centres[labels] * 2 + rng.normal(0, 2.0, (number, features)) + 5).astype(np.float16), labels


# ---- features ----


def test_features_are_shrunk_to_about_9600_values():
    for channels, side, expected in ((64, 128, 12), (256, 44, 6), (512, 44, 4), (16, 32, 24), (128, 8, 8)):
        rows = rep.resized(torch.zeros(1, channels, side, side))
        assert rows.shape == (1, channels * expected**2)
        assert rows.shape[1] <= rep.VALUES
    constant = rep.resized(torch.full((1, 64, 100, 100), 3.5))
    assert torch.allclose(constant, torch.tensor(3.5))


def test_a_small_map_is_left_as_it_is():
    features = torch.randn(2, 4, 5, 5)
    assert torch.equal(rep.resized(features), features.flatten(1))


def test_layer_features_are_the_networks_own_and_batches_do_not_matter(tiny_network, photos):
    network = tiny_network().eval()
    with torch.no_grad():
        lightness = torch.from_numpy(rgb8_to_lightness(photos))[:, None]
        expected = network.taps(lightness, ["conv5_3"])["conv5_3"].flatten(1)
    for batch in (5, 64):
        with rep.layer_features(network, photos, ("conv1", "conv5"), batch=batch) as arrays:
            assert list(arrays) == ["conv1", "conv5"]
            assert isinstance(arrays["conv5"], np.memmap) and arrays["conv5"].dtype == np.float16
            assert np.allclose(arrays["conv5"], expected, atol=2e-3, rtol=2e-3)


def test_features_leave_the_disk_with_the_context(tiny_network, photos, tmp_path):
    with rep.layer_features(tiny_network(), photos, ("conv3",), folder=tmp_path):
        assert list(tmp_path.rglob("conv3.npy"))
    assert not list(tmp_path.iterdir())


# ---- the classifier ----


def test_the_solution_is_sklearns():
    """The same convex problem: mean cross entropy + l2 / 2 |W|^2 on standardised features, C = 1 / (l2 N)."""
    features, labels = blobs()
    l2 = 0.05
    probe = rep.fit_probe(features, labels, decays=(l2,), iterations=200)
    theirs = LogisticRegression(C=1 / (l2 * len(labels)), max_iter=2000, tol=1e-8)
    theirs.fit(StandardScaler().fit_transform(features.astype(float)), labels)
    centred = lambda weights: weights - weights.mean(1, keepdims=True)
    assert np.allclose(centred(probe.weights[:-1].numpy()), centred(theirs.coef_.T), atol=5e-3)


def test_mini_batches_give_the_same_classifier():
    features, labels = blobs()
    whole = rep.fit_probe(features, labels, decays=(0.1,), iterations=100)
    parts = rep.fit_probe(features, labels, decays=(0.1,), iterations=100, batch=37)
    assert torch.allclose(whole.weights, parts.weights, atol=1e-3)
    assert torch.allclose(whole.scores(features), parts.scores(features, batch=11), atol=1e-2)


def test_rows_are_the_same_as_the_rows_alone():
    features, labels = blobs()
    rows = np.arange(0, 300, 2)
    chosen = rep.fit_probe(features, labels, rows, batch=40)
    alone = rep.fit_probe(features[rows], labels[rows], batch=40)
    assert chosen.l2 == alone.l2 and torch.allclose(chosen.weights, alone.weights, atol=1e-5)
    assert torch.equal(chosen.scores(features, rows[:9]), chosen.scores(features[rows[:9]]))


def test_the_decay_is_chosen_on_held_out_photographs():
    """Few photographs and many features of noise: a stiff decay must win over none."""
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (120, 400)).astype(np.float16)
    labels = (features[:, :5].sum(1) > 0).astype(np.int64)
    assert rep.fit_probe(features, labels, decays=(1e-9, 1.0)).l2 in (1e-9, 1.0)
    unseen, truth = blobs(seed=5)
    features, labels = blobs(30, seed=4)
    stiff = rep.fit_probe(features, labels)
    assert rep.score(stiff.scores(unseen), truth) > 0.7


def test_a_feature_that_never_varies_does_no_harm():
    features, labels = blobs()
    features[:, 3] = 2.0
    probe = rep.fit_probe(features, labels, decays=(0.1,))
    assert torch.isfinite(probe.weights).all() and probe.scale[3] == 1


@pytest.mark.usefixtures("unchecked")
def test_targets_that_do_not_fit_are_refused():
    features, labels = blobs()
    with pytest.raises(ValueError, match="expected targets"):
        rep.fit_probe(features, labels[:-1])


def test_several_labels_a_photograph():
    features, labels = blobs(600)
    targets = np.where(np.arange(3) == labels[:, None], 1, -1).astype(np.int8)
    targets[::7, 0] = 0  # difficult: neither
    probe = rep.fit_probe(features, targets, decays=(0.01,))
    unseen, truth = blobs(300, seed=3)
    wanted = np.where(np.arange(3) == truth[:, None], 1, -1)
    quality = rep.score(probe.scores(unseen), wanted)
    assert 0.75 < quality <= 1
    scores = torch.tensor([[5.0, -2.0], [0.3, 0.0]])
    assert rep._loss(scores, torch.tensor([[0, 0], [0, 0]])) == 0  # difficult: no gradient either
    assert float(rep._loss(scores, torch.tensor([[0, 0], [0, 1]]))) == pytest.approx(np.log(2) / 2)


# ---- average precision, as VOC 2007 defines it ----


def test_average_precision_by_hand():
    """Order: hit, miss, hit. Precision 1 up to recall 1/2, 2/3 up to 1: (6 * 1 + 5 * 2/3) / 11."""
    assert average_precision([0.9, 0.8, 0.7], [True, False, True]) == pytest.approx((6 + 5 * 2 / 3) / 11)
    assert average_precision([3, 2, 1], [True, True, False]) == 1
    assert average_precision([3, 2, 1], [False, False, True]) == pytest.approx(1 / 3)
    assert np.isnan(average_precision([1, 2], [False, False]))


def test_it_is_near_the_area_under_the_curve():
    rng = np.random.default_rng(0)
    relevant = rng.random(2000) < 0.2
    scores = relevant + rng.normal(0, 1, 2000)
    assert average_precision(scores, relevant) == pytest.approx(average_precision_score(relevant, scores), abs=0.03)


def test_difficult_photographs_do_not_count():
    scores = np.array([[3.0], [2.0], [1.0]])
    assert mean_average_precision(scores, np.array([[0], [1], [-1]])) == 1
    assert mean_average_precision(scores, np.array([[-1], [1], [-1]])) == pytest.approx(0.5)


# ---- networks side by side ----


def test_probe_layers_reports_each_layer_and_seed(tiny_network, photos):
    labels = np.arange(len(photos)) % 3
    lines = []
    found = rep.probe_layers(
        "x",
        tiny_network(),
        (photos, labels),
        (photos[:9], labels[:9]),
        ("conv1", "conv8"),
        (0, 1),
        report=lines.append,
    )
    assert [(row.layer, row.seed) for row in found] == [
        ("conv1", 0),
        ("conv1", 1),
        ("conv8", 0),
        ("conv8", 1),
    ]
    assert all(0 <= row.quality <= 1 for row in found) and len(lines) == 2
    table = rep.by_network(found)["x"]
    assert table["best"] == table[table["best_layer"]]
    assert 0 <= table["low"] <= table["best"] <= table["high"] <= 1


def quality(layer, seed, test, validation, error=0.0):
    return rep.LayerQuality("x", layer, seed, test, 10, validation, error)


def test_the_best_layer_is_chosen_on_validation_photographs():
    """conv1 looks best on the test photographs, conv2 on the others: conv2 is reported, with its test figure."""
    rows = [quality("conv1", 0, 0.9, 0.5), quality("conv2", 0, 0.7, 0.6)]
    table = rep.by_network(rows)["x"]
    assert (table["best_layer"], table["best"]) == ("conv2", 0.7)


def test_the_interval_holds_seeds_and_the_test_sample():
    """Seeds .6 and .7: variance .005 of one, .0025 of their mean.  Test error .05, so .0025 more, not halved.

    Together .005; freedom (.005)^2 / .0025^2 = 4, t = 2.776: .65 +- .196.
    """
    table = rep.by_network([quality("conv1", 0, 0.6, 0.5, 0.05), quality("conv1", 1, 0.7, 0.5, 0.05)])["x"]
    assert (table["low"], table["high"]) == pytest.approx((0.65 - 0.1963, 0.65 + 0.1963), abs=1e-3)
    alone = rep.by_network([quality("conv1", 0, 0.6, 0.5, 0.05)])["x"]
    assert alone["high"] == pytest.approx(0.6 + 1.96 * 0.05)


def test_sampling_errors():
    """Top-1: 3 of 4 right, sqrt(.75 x .25 / 4).  Mean average precision: of noise, as other samples differ."""
    scores = torch.eye(2)[[0, 0, 1, 1]]
    assert rep.sampling_error(scores, np.array([0, 0, 1, 0])) == pytest.approx(np.sqrt(0.75 * 0.25 / 4))
    rng = np.random.default_rng(0)

    def sample():
        targets = np.where(rng.random((150, 2)) < 0.4, 1, -1)
        return targets + rng.normal(0, 2, targets.shape), targets

    apart = np.std([mean_average_precision(*sample()) for _ in range(200)])
    assert rep.sampling_error(*sample()) == pytest.approx(apart, rel=0.35)


def test_every_decay_is_chosen_on_what_its_seed_left_over(tiny_network, photos, monkeypatch):
    """24 photographs: at most 14 are drawn, ten or more choose the decay, alike for each seed and network."""
    asked = []
    fit = rep.fit_probe

    def watched(features, targets, rows, tuning, **options):
        asked.append((set(rows), set(tuning)))
        assert "decays" not in options
        return fit(features, targets, rows, tuning=tuning, decays=(0.1, 0.01), iterations=3)

    monkeypatch.setattr(rep, "fit_probe", watched)
    labels = np.arange(len(photos)) % 3
    sets = (photos, labels), (photos[:9], labels[:9])
    for draw, expected in ((None, 14), (8, 8), (99, 14)):
        asked.clear()
        rep.probe_layers("x", tiny_network(), *sets, ("conv1",), (0, 1), draw, report=lambda line: None)
        for rows, tuning in asked:
            assert len(rows) == expected and rows | tuning == set(range(24)) and not rows & tuning


def test_a_decay_chosen_on_other_photographs_is_the_best_there():
    features, labels = blobs()
    rows, tuning = np.arange(20), np.arange(20, 300)
    chosen = rep.fit_probe(features, labels, rows, tuning=tuning)
    probes = {l2: rep.fit_probe(features, labels, rows, decays=(l2,)) for l2 in rep.L2}
    qualities = {l2: rep.score(probe.scores(features, tuning), labels[tuning]) for l2, probe in probes.items()}
    assert qualities[chosen.l2] >= max(qualities.values()) - 0.02


@pytest.mark.slow
def test_trained_networks_are_probed_beside_untrained_ones_of_each_seed(tiny_network, photos, lightness):
    known, unseen = (photos, np.arange(len(photos)) % 3), (photos[:9], np.arange(9) % 3)
    network, layers = tiny_network(), ["conv1"]
    found = rep.probe_beside_untrained({"x": network}, lightness, known, unseen, layers, range(2), 12)
    expected = rep.probe_layers("x", network, known, unseen, layers, range(2), 12)
    for kind in ("random", "k-means"):
        for seed in range(2):
            start = rep.untrained(kind, network.width, lightness, seed)
            expected += rep.probe_layers(kind, start, known, unseen, layers, [seed], 12)
    assert found == expected
    assert rep.probe_beside_untrained({}, lightness, known, unseen, layers, range(2), 12) == []


def test_each_seed_draws_other_photographs_and_all_classes():
    labels = np.repeat([0, 1, 2], [50, 30, 3])
    draws = [rep._draw(labels, 9, seed) for seed in range(3)]
    for rows in draws:
        assert np.bincount(labels[rows]).tolist() == [3, 3, 3] and len(set(rows)) == 9
    assert len({tuple(rows) for rows in draws}) == 3
    assert np.array_equal(draws[0], rep._draw(labels, 9, 0))


def test_untrained_networks_are_ready_and_differ_by_seed(photos, lightness):
    for kind in ("random", "k-means"):
        first, second, again = (rep.untrained(kind, 0.05, lightness, seed) for seed in (0, 1, 0))
        assert not first.training
        taps = first.taps(lightness, ["conv4_3"])["conv4_3"]
        assert taps.isfinite().all() and taps.std() > 0.1
        assert torch.equal(taps, again.taps(lightness, ["conv4_3"])["conv4_3"])
        assert not torch.equal(taps, second.taps(lightness, ["conv4_3"])["conv4_3"])


# ---- PASCAL VOC ----


def write_devkit(root, photos, labels):
    """labels: {set: {name: {class: 0 or 1}}}; everything else is -1."""
    from PIL import Image

    year = root / "VOCdevkit" / "VOC2007"
    (year / "ImageSets/Main").mkdir(parents=True)
    (year / "JPEGImages").mkdir()
    for part, of_names in labels.items():
        for name in of_names:
            Image.fromarray(photos[int(name) % len(photos)]).save(year / "JPEGImages" / f"{name}.jpg")
        for kind in VOC_CLASSES:
            lines = [f"{name} {of_names[name].get(kind, -1):2d}" for name in of_names]
            (year / "ImageSets/Main" / f"{kind}_{part}.txt").write_text("\n".join(lines) + "\n")
    return year


@pytest.fixture
def devkit(tmp_path, photos):
    write_devkit(
        tmp_path,
        photos,
        {
            "trainval": {"000005": {"dog": 1, "person": 1}, "000007": {"car": 1}},
            "val": {"000007": {"car": 1}},
            "test": {"000001": {"dog": 0, "person": 1}},
        },
    )
    return tmp_path


def test_a_devkit_is_read_by_its_lists(devkit):
    for root in (devkit, devkit / "VOCdevkit", devkit / "VOCdevkit/VOC2007"):
        source = open_source("voc", root=root)
        assert [item.name for item in source.items("train")] == ["000005", "000007"]
    targets = source.targets("train", ["000007", "000005"])
    place = VOC_CLASSES.index
    assert targets.shape == (2, 20) and targets[0, place("car")] == 1 and targets[0].sum() == -18
    assert targets[1, place("dog")] == targets[1, place("person")] == 1
    assert source.targets("test", ["000001"])[0, place("dog")] == 0
    found = prepare(source, "train", 16, destination=devkit / "prepared")
    assert found.photos.shape[1:] == (16, 16, 3) and set(found.labels) == {-1}
    assert open_source(found.report["source"], **found.report["settings"]).items("test")[0].name == "000001"


def test_what_is_no_devkit_says_what_to_unpack(tmp_path):
    with pytest.raises(SourceError, match="VOCtrainval"):
        open_source("voc", root=tmp_path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("000005 yes\n", "line 1"),
        ("", "names no photographs"),
        ("000009 1\n", "same photographs"),
        (None, "could not be read"),
    ],
)
def test_a_broken_list_is_named(devkit, text, complaint):
    path = devkit / "VOCdevkit/VOC2007/ImageSets/Main/dog_trainval.txt"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(SourceError, match=complaint):
        open_source("voc", root=devkit).items("train")

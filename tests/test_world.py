"""The painted world: pictures are reproducible, and colours follow the table and nothing else."""

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from repro.color import in_gamut, rgb8_to_lab, rgb8_to_lightness
from repro.datasets import world
from repro.datasets.world import INDEX, NAMES, THINGS, paint
from repro.datasets.world.table import JITTER, JITTER_LIMIT

MANY = [thing for thing in THINGS if len(thing.colours) > 1]
# A lattice of spacing 10 as the paper's, wider than sRGB: these tests stand on nothing above them.
BINS = np.stack(np.meshgrid(*[np.arange(-110.0, 111, 10)] * 2, indexing="ij"), -1).reshape(-1, 2)


def encode(ab):
    distance, indices = cKDTree(BINS).query(ab, 5)
    weights = np.exp(-(distance**2) / 50)
    return indices, weights / weights.sum(1, keepdims=True)


@pytest.fixture(scope="module")
def scenes():
    return paint(7, range(1200))


def instances_of(scenes, name):
    """(n,) colour numbers, (n, 2) ab, (n,) mean lightness of what can be seen of each instance of a thing."""
    lightness = rgb8_to_lightness(scenes.rgb8).reshape(len(scenes.labels), -1)
    flat = scenes.instances.reshape(lightness.shape).astype(int)
    count = scenes.instance_colour.shape[1]
    flat = (flat + count * np.arange(len(flat))[:, None]).ravel()
    pixels = np.bincount(flat, minlength=len(scenes.labels) * count)
    total = np.bincount(flat, lightness.ravel(), len(pixels))
    is_it = np.zeros(len(pixels), bool)
    is_it[flat[scenes.things.ravel() == INDEX[name]]] = True
    mean = total / pixels.clip(1)
    return scenes.instance_colour.ravel()[is_it], scenes.instance_ab.reshape(-1, 2)[is_it], mean[is_it]


# -- the table -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thing", THINGS, ids=NAMES)
def test_every_colour_is_in_gamut_over_the_whole_lightness_range(thing):
    """Otherwise clipping would move lightness and ab, and the distribution would no longer be the table's."""
    reach = torch.tensor([[a, b] for a in (-JITTER_LIMIT, 0, JITTER_LIMIT) for b in (-JITTER_LIMIT, 0, JITTER_LIMIT)])
    ab = torch.as_tensor(thing.ab).float()[:, None] + reach
    for lightness in torch.linspace(*thing.lightness, 17):
        lab = torch.cat((torch.full((*ab.shape[:2], 1), lightness.item()), ab), -1)
        assert in_gamut(lab).all(), f"{thing.name} at L {lightness:.0f}"


@pytest.mark.parametrize("thing", THINGS, ids=NAMES)
def test_shares_sum_to_one_and_colours_are_told_apart(thing):
    for name in world.SCENES:
        assert len(thing.shares(name)) == len(thing.colours)
        assert thing.shares(name).sum() == pytest.approx(1)
    between = np.linalg.norm(thing.ab[:, None] - thing.ab, axis=-1) + 1e3 * np.eye(len(thing.ab))
    assert between.min() >= 25


def test_textures_repeat_and_differ():
    bank = world.texture_bank(64)
    assert bank.shape == (len(THINGS), 128, 128)
    assert (bank[:, :64, :64] == bank[:, 64:, 64:]).all()
    one = bank[:, :64, :64].reshape(len(THINGS), -1).astype(float)
    assert np.unique(one, axis=0).shape[0] == len(THINGS)
    assert (np.abs(one.mean(1)) < 12).all()  # the table's lightness is where a texture lies


# -- painting --------------------------------------------------------------------------------------------------------


def test_shapes_and_types(scenes):
    n = len(scenes.labels)
    assert scenes.rgb8.shape == (n, 64, 64, 3) and scenes.rgb8.dtype == np.uint8
    assert scenes.things.shape == scenes.instances.shape == (n, 64, 64) and scenes.things.dtype == np.uint8
    assert scenes.labels.tolist()[:9] == [0, 1, 2, 3, 4, 5, 6, 7, 0] and scenes.labels.dtype == np.int64
    assert scenes.things.max() < len(THINGS)
    assert (np.bincount(scenes.things.ravel(), minlength=len(THINGS)) > 0).all(), "a thing is never painted"


@pytest.mark.parametrize("name", world.SCENES)
def test_a_scene_is_the_same_in_any_batch(name):
    together = paint(3, [5, 300, 7, 6], world=name)
    for position, index in enumerate([5, 300, 7, 6]):
        alone = paint(3, index, world=name)
        for field in vars(together):
            assert np.array_equal(getattr(together, field)[position], getattr(alone, field)[0]), field


def test_seeds_and_worlds_differ():
    assert (paint(0, 8).rgb8 != paint(1, 8).rgb8).any()
    assert (paint(0, 8).rgb8 != paint(0, 8, world="second").rgb8).any()
    with pytest.raises(ValueError, match="first, second"):
        paint(0, 0, world="third")


def test_a_larger_picture_is_the_same_scene():
    small, large = paint(2, range(16), 64), paint(2, range(16), 128)
    assert np.array_equal(small.instance_ab, large.instance_ab)
    assert (large.things[:, ::2, ::2] == small.things).mean() > 0.93
    difference = large.rgb8.reshape(16, 64, 2, 64, 2, 3).mean((2, 4)) - small.rgb8
    assert np.abs(difference[world.interior(small.instances)]).mean() < 12


def test_what_is_painted_can_be_read_back(scenes):
    """8 bits cost little: every pixel's ab is the instance's, to rounding."""
    error = np.linalg.norm(rgb8_to_lab(scenes.rgb8[:200])[..., 1:] - scenes.ab[:200], axis=-1)
    assert error.max() < 1.6 and error.mean() < 0.4


@pytest.mark.parametrize("name", world.SCENES)
def test_lightness_stays_in_the_table_s_range(name):
    painted = paint(4, range(120), world=name)
    low, high = np.array([thing.lightness for thing in THINGS]).T
    lightness = rgb8_to_lightness(painted.rgb8)
    assert (lightness > low[painted.things] - 0.6).all() and (lightness < high[painted.things] + 0.6).all()


# -- colours follow the table, and nothing else
# ----------------------------------------------------------------------


@pytest.mark.parametrize("thing", MANY, ids=lambda thing: thing.name)
def test_instances_take_colours_as_the_table_says(scenes, thing):
    colour, ab, lightness = instances_of(scenes, thing.name)
    expected = thing.shares()
    found = np.bincount(colour, minlength=len(expected)) / len(colour)
    tolerance = 4 * np.sqrt(expected * (1 - expected) / len(colour))
    assert len(colour) > 50 and (np.abs(found - expected) < tolerance).all(), (found, expected)
    jitter = ab - thing.ab[colour]
    assert np.abs(jitter).max() <= JITTER_LIMIT + 1e-4 and jitter.std() == pytest.approx(JITTER, rel=0.15)


@pytest.mark.parametrize("thing", MANY, ids=lambda thing: thing.name)
def test_lightness_tells_nothing_about_colour(scenes, thing):
    colour, _, lightness = instances_of(scenes, thing.name)
    for number in range(len(thing.colours)):
        group = lightness[colour == number]
        if len(group) > 20:
            error = lightness.std() / np.sqrt(len(group))
            assert abs(group.mean() - lightness.mean()) < 4 * error + 0.2


def test_neighbours_draw_independently(scenes):
    """Knowing one apple of a picture does not help with the next."""
    red = [row[thing == INDEX["apple"]] for row, thing in zip(*colours_and_things(scenes), strict=True)]
    pairs = np.array([apples[:2] for apples in red if len(apples) > 1])
    assert len(pairs) > 100 and abs(np.corrcoef(pairs.T)[0, 1]) < 4 / np.sqrt(len(pairs))


def colours_and_things(scenes):
    """Per scene and instance: colour number, and thing (255 where nothing of it can be seen)."""
    things = np.full(scenes.instance_colour.shape, 255)
    for k in range(len(things)):
        things[k, scenes.instances[k]] = scenes.things[k]
    return scenes.instance_colour, things


def test_most_of_the_picture_is_grayish(scenes):
    chroma = np.linalg.norm(scenes.ab, axis=-1)
    assert 0.85 < 1 - chroma.mean() / 150 < 0.92  # AuC of an all-gray answer, as on photographs


# -- theory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thing", THINGS, ids=NAMES)
def test_expected_distribution_returns_the_table(thing):
    expected = world.expected_distribution(thing.name, encode, outputs=len(BINS))
    assert expected.shape == (len(BINS),) and expected.sum() == pytest.approx(1)
    shares = world.shares(expected, thing, BINS)
    assert shares == pytest.approx(thing.shares(), abs=0.02)
    assert np.array_equal(world.shares(torch.as_tensor(expected), thing, torch.as_tensor(BINS)), shares)
    assert expected @ BINS == pytest.approx(world.mean_color(thing), abs=1.0)


def test_class_weights_tilt_the_distribution():
    """A car by hand: weights 1 for silver and 4 for the rest give .4 against 4 * .6."""
    weights = np.where(np.linalg.norm(BINS, axis=1) < 15, 1.0, 4.0)
    tilted = world.shares(world.expected_distribution("car", encode, weights), "car", BINS)
    assert tilted == pytest.approx(np.array([0.4, 0.8, 0.8, 0.4, 0.4]) / 2.8, abs=0.02)


def test_conditional_and_mean_color():
    samples = world.conditional("apple", n=40000, seed=1)
    assert samples.shape == (40000, 2)
    assert samples.mean(0) == pytest.approx(world.mean_color("apple"), abs=0.8)
    assert np.array_equal(samples, world.conditional("apple", n=40000, seed=1))
    assert not np.allclose(world.mean_color("tree"), world.mean_color("tree", world="second"))
    with pytest.raises(ValueError, match="sky, cloud"):
        world.conditional("unicorn")


def test_shares_ignore_bins_far_from_every_colour():
    apple = THINGS[INDEX["apple"]]
    distribution = np.zeros(len(BINS))
    for (a, b), mass in zip([*apple.ab, (0, -60)], [0.3, 0.1, 0.6], strict=True):
        distribution[((BINS - (a, b)) ** 2).sum(1).argmin()] = mass
    assert world.shares(distribution, "apple", BINS) == pytest.approx([0.75, 0.25])


def test_interior_keeps_away_from_every_border():
    instances = np.zeros((1, 12, 12), np.uint8)
    instances[:, :, 6:] = 1
    inside = world.interior(instances, margin=2)[0]
    assert inside[:, :4].all() and not inside[:, 4:8].any() and inside[:, 8:].all()
    assert np.array_equal(world.interior(instances[0], margin=2), inside)


# -- the source ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", world.SCENES)
def test_source(name):
    source = world.WorldSource(seed=5, world=name, train=30, val=12, test=13)
    assert source.name == "world" and len(set(source.classes)) == len(source.classes) >= 6
    split = {key: source.indices(key) for key in ("train", "val", "test")}
    assert len(set(np.concatenate(list(split.values())))) == 30 + 12 + 13
    items = source.items("val")
    pictures, labels = source.bulk("val", size=32, limit=5)
    assert len(items) == 12 and len({item.name for item in items}) == 12
    assert pictures.shape == (5, 32, 32, 3) and pictures.dtype == np.uint8 and labels.dtype == np.int64
    assert labels.tolist() == [item.label for item in items[:5]]
    assert source.read(items[3]).shape == (128, 128, 3)
    assert np.array_equal(source.read(items[3]), source.bulk("val", size=128)[0][3])
    with pytest.raises(ValueError, match="train, val, test"):
        source.items("exam")

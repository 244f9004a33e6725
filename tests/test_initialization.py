"""Initialisation: each of its three steps by measuring, on the sample, what it promises."""

import copy

import pytest
import torch
from torch import nn

from repro import initialization
from repro.datasets.world import WorldSource
from repro.examples import centred, to_example
from repro.initialization import gradient_ratios, kmeans_initialize, sample_patches, set_centroids
from repro.network import ColorizationNet, UnnormalizedNet, convolutions

WIDTH = 0.0625


@pytest.fixture(scope="module")
def lightness():
    """(16, 1, 64, 64): at 32 pixels the deep layers would have too few patches to whiten well."""
    return to_example(WorldSource().bulk("train", size=64, limit=16)[0])[0]


@pytest.fixture(scope="module")
def small(lightness):
    """(12, 1, 32, 32), where only the outcome's form matters."""
    return lightness[:12, :, 16:48, 16:48]


def network_of(outputs=313):
    torch.manual_seed(1)
    return ColorizationNet(WIDTH, outputs)


@pytest.fixture(scope="module")
def normalised(lightness):
    """Steps 1 and 2 alone."""
    return kmeans_initialize(network_of(), lightness, seed=3, rescale=False)


@pytest.fixture(scope="module")
def complete(lightness):
    """All three steps, from the same seed."""
    return kmeans_initialize(network_of(), lightness, seed=3)


def before_relu(network, lightness):
    """{name: (mean, variance) of every channel of the convolution's output} in training mode."""
    found, network = {}, copy.deepcopy(network).train()

    def hook(name):
        return lambda layer, inputs, output: found.update({name: (output.mean((0, 2, 3)), output.var((0, 2, 3)))})

    for name, convolution in convolutions(network):
        convolution.register_forward_hook(hook(name))
    with torch.no_grad():
        network(lightness)
    return found


# -- step 1 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 4, 3, padding=1),
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.Conv2d(3, 4, 3, padding=2, dilation=2),
        nn.Conv2d(3, 4, 1),
    ],
)
def test_patches_are_what_the_convolution_sees(layer):
    """Patches times weights, plus bias, is the convolution's output at some pixel."""
    features = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    patches = sample_patches(layer, features, torch.Generator().manual_seed(0))
    products = patches @ layer.weight.flatten(1).T + layer.bias  # (P, 4)
    outputs = layer(features).permute(0, 2, 3, 1).reshape(-1, 4)
    assert len(products) == len(outputs), "every position once when there are fewer than asked for"
    assert (products[:, None] - outputs).norm(dim=2).min(1).values.max() < 1e-4


def test_patches_are_drawn_evenly_from_all_photographs():
    features = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 16, 16)
    patches = sample_patches(nn.Conv2d(1, 2, 1), features, torch.Generator().manual_seed(0), count=40)
    assert patches.unique(return_counts=True)[1].tolist() == [10, 10, 10, 10]


def test_the_transposed_layer_answers_a_patch_of_2_by_2_with_a_block_of_2_by_2(monkeypatch):
    """The four outputs around a corner of four inputs all see those four inputs.

    All four must give <patch, centroid>.
    """
    centroids = torch.randn(5, 3 * 2 * 2, generator=torch.Generator().manual_seed(0))

    class Known:
        def __init__(self, *args, **kwargs): ...
        def fit(self, patches):
            self.cluster_centers_ = (centroids @ torch.linalg.pinv(whitening[0].T)).numpy()
            return self

    whitening = []
    original = initialization.principal_directions

    def remember(covariance):
        variance, directions = original(covariance)
        whitening.append(directions / variance.sqrt())  # all directions are kept: the features are noise
        return variance, directions

    monkeypatch.setattr(initialization, "KMeans", Known)
    monkeypatch.setattr(initialization, "principal_directions", remember)
    layer = nn.ConvTranspose2d(3, 5, 4, 2, padding=1)
    features = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        set_centroids(layer, features, torch.Generator().manual_seed(2))
        output = layer(features)
        patches = nn.functional.unfold(features, 2).transpose(1, 2)  # (4, 25, 12)
        expected = (patches @ centroids.T).transpose(1, 2).reshape(4, 5, 5, 5)
    # patch (m, n) covers inputs m, m+1; the outputs between their centres are 2m+1 and 2m+2
    for row in (0, 1):
        for column in (0, 1):
            phase = output[:, :, 1 + row : 11 + row : 2, 1 + column : 11 + column : 2]
            assert torch.allclose(phase, expected, atol=1e-4)


def test_weights_are_centroids_of_the_layers_own_patches(lightness):
    """Whitened, every centroid is the mean of the patches nearest to it."""
    layer = nn.Conv2d(1, 6, 3, padding=1)
    features = centred(lightness)
    with torch.no_grad():
        set_centroids(layer, features, torch.Generator().manual_seed(0))
    patches = sample_patches(layer, features, torch.Generator().manual_seed(0))  # the same: drawn before anything else
    patches = patches - patches.mean(0)
    variance, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
    keep = variance > 1e-2 * variance[-1]
    directions, deviation = directions[:, keep], variance[keep].sqrt()
    white = patches @ directions / deviation
    centroids = layer.weight.detach().flatten(1) @ directions * deviation
    nearest = torch.cdist(white, centroids).argmin(1)
    for index in range(6):
        apart = white[nearest == index].mean(0) - centroids[index]
        assert apart.norm() < 0.1 * centroids[index].norm() + 0.05  # Lloyd's rounds are limited, so not quite at rest


# -- step 2 ----------------------------------------------------------------------------------------------------------


def test_every_channel_has_mean_0_and_variance_1(normalised, lightness):
    for name, (mean, variance) in before_relu(normalised, lightness).items():
        assert mean.abs().max() < 5e-3, name
        assert (variance - 1).abs().max() < 1e-2, name


def test_beta_is_the_mean(small):
    network = kmeans_initialize(network_of(2), small, beta=0.5, rescale=False)
    for name, (mean, _) in before_relu(network, small).items():
        assert (mean - 0.5).abs().max() < 5e-3, name


def test_channels_are_normalised_whatever_bias_they_start_with():
    convolution, features = nn.Conv2d(2, 3, 3), torch.randn(8, 2, 9, 9)
    nn.init.constant_(convolution.bias, 7)
    with torch.no_grad():
        initialization.normalize_channels(convolution, features, beta=0.25)
        output = convolution(features)
    assert output.mean((0, 2, 3)).tolist() == pytest.approx([0.25] * 3, abs=1e-5)
    assert output.std((0, 2, 3)).tolist() == pytest.approx([1] * 3, abs=1e-5)


# -- step 3 ----------------------------------------------------------------------------------------------------------


def spread(network, lightness):
    ratios = gradient_ratios(copy.deepcopy(network).train(), lightness, torch.Generator().manual_seed(9))
    return max(ratios.values()) / min(ratios.values())


def test_gradients_stand_to_weights_alike_in_every_layer(normalised, complete, lightness):
    """Measured with another random loss than the one it was set with, hence a factor and not 1."""
    before, after = spread(normalised, lightness), spread(complete, lightness)
    assert after < 10 < 1000 < before


def test_rescaling_leaves_the_function_as_it_is(normalised, lightness):
    """In double precision, and with an epsilon of batch normalisation too small to see the scale: equal to 1e-4."""
    network, lightness = copy.deepcopy(normalised).double().train(), lightness.double()
    for layer in network.layers.values():
        if len(layer) == 3:
            layer[2].eps = 1e-14
    with torch.no_grad():
        before, weights = network(lightness), network.layers["conv2_1"][0].weight.clone()
        initialization.equalize_gradient_ratios(network, lightness, torch.Generator().manual_seed(0))
        after = network(lightness)
    assert not torch.allclose(network.layers["conv2_1"][0].weight, weights, rtol=0.1)
    assert (before - after).abs().max() < 1e-4 * before.std()


def test_without_batch_normalisation_too_all_layers_learn_at_one_pace(lightness):
    torch.manual_seed(1)
    start = kmeans_initialize(UnnormalizedNet(WIDTH), lightness, seed=3, rescale=False)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in start.modules())
    network = copy.deepcopy(start).double()
    with torch.no_grad():
        initialization.equalize_gradient_ratios(network, lightness.double(), torch.Generator().manual_seed(0))
    assert spread(network.float(), lightness) < 10 < 30 < spread(start, lightness)
    with torch.no_grad():
        before, after = start(lightness), network(lightness)
    assert (before - after).abs().max() < 1e-3 * before.std()


# -- the whole -------------------------------------------------------------------------------------------------------


def test_evaluation_mode_works_right_after(complete, lightness):
    """The running statistics are the sample's, so the output is as in training mode.

    Its variance is about 1, not yet trained away.
    """
    network = copy.deepcopy(complete)
    with torch.no_grad():
        evaluation, training = network.eval()(lightness), network.train()(lightness)
    assert (training - evaluation).square().mean() < 0.01 * training.var()
    assert all(norm.momentum == 0.1 for norm in network.modules() if isinstance(norm, nn.BatchNorm2d))
    assert all(not p.requires_grad or p.isfinite().all() for p in network.parameters())


def test_the_same_seed_gives_the_same_network(small):
    once, again, other = (kmeans_initialize(network_of(), small, seed=seed) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(once.state_dict().values(), again.state_dict().values(), strict=True))
    assert not torch.equal(once.layers["conv3_1"][0].weight, other.layers["conv3_1"][0].weight)


def test_a_network_for_regression_in_evaluation_mode(small):
    network = kmeans_initialize(network_of(2).eval(), small)
    assert not network.training
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    with torch.no_grad():
        output = network.train()(small)
    assert output.isfinite().all() and output.std((0, 2, 3)).min() > 0.1


@pytest.mark.parametrize("sample", [torch.full((16, 1, 32, 32), 80.0), torch.zeros(16, 1, 32, 32)])
def test_a_blank_page_is_refused(sample):
    with pytest.raises(ValueError, match="no variation"):
        kmeans_initialize(network_of(), sample)


def test_too_small_a_sample_is_refused():
    with pytest.raises(ValueError, match="8 patches for 16 channels: the sample needs more or larger"):
        kmeans_initialize(
            network_of(), torch.rand(8, 1, 16, 16) * 100
        )  # conv8_1 sees 2 x 2 inputs: one patch a photograph


def test_fewer_patches_than_dimensions_still_work():
    """A covariance of low rank, on which float32 alone does not always converge."""
    torch.manual_seed(0)
    for _ in range(2):
        network = kmeans_initialize(network_of(2), torch.rand(12, 1, 32, 32) * 100, rescale=False)
        assert all(p.isfinite().all() for p in network.parameters())

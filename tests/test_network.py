"""The network: the release's counts, shapes and receptive fields, measured rather than believed."""

import pytest
import torch
from torch import nn

from repro.network import (
    BatchNorm,
    ColorizationNet,
    convolutions,
    multiply_adds,
    normalization,
    receptive_fields,
)

NAMES = (
    "conv1_1 conv1_2 conv2_1 conv2_2 conv3_1 conv3_2 conv3_3 conv4_1 conv4_2 conv4_3 conv5_1 conv5_2 conv5_3 "
    "conv6_1 conv6_2 conv6_3 conv7_1 conv7_2 conv7_3 conv8_1 conv8_2 conv8_3 out"
).split()


@pytest.fixture(scope="module")
def full():
    """The paper's network, without memory for its weights."""
    with torch.device("meta"):
        return ColorizationNet()


def test_the_last_layer_of_blocks_1_to_7_is_normalised(full):
    normalised = [name for name, layer in full.layers.items() if normalization(layer)]
    assert normalised == "conv1_2 conv2_2 conv3_3 conv4_3 conv5_3 conv6_3 conv7_3".split()
    assert normalization(full.layers["conv1_2"]) is full.layers["conv1_2"][2]
    assert normalization(nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.Identity())) is None


def test_parameters_are_those_of_the_release(full):
    norms = [module for module in full.modules() if isinstance(module, nn.BatchNorm2d)]
    affine = sum(p.numel() for norm in norms for p in norm.parameters())
    assert affine == 2 * (64 + 128 + 256 + 4 * 512) == 4992
    assert sum(p.numel() for p in full.parameters()) == 32_230_393 + 4992


def test_the_first_and_the_transposed_layer_by_hand(full):
    layers = dict(convolutions(full))
    assert list(layers) == NAMES
    assert sum(p.numel() for p in layers["conv1_1"].parameters()) == 64 * 1 * 9 + 64
    assert sum(p.numel() for p in layers["conv8_1"].parameters()) == 512 * 256 * 16 + 256
    assert sum(p.numel() for p in layers["out"].parameters()) == 256 * 313 + 313


def test_normalisation_stands_after_the_last_relu_of_blocks_1_to_7(full):
    kinds = {name: [type(part).__name__ for part in layer] for name, layer in full.layers.items()}
    ends = {"conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3", "conv6_3", "conv7_3"}
    for name in NAMES[:-1]:
        kernel = "ConvTranspose2d" if name == "conv8_1" else "Conv2d"
        assert kinds[name] == [kernel, "ReLU"] + ["BatchNorm"] * (name in ends), name
    assert kinds["out"] == ["Conv2d"]


def test_a_channel_that_was_long_asleep_does_not_blow_up_the_rest():
    """Variances 4, 1 and 1e-40 have the median 1, so none counts as less than .01: 1 becomes at most 10."""
    norm = BatchNorm(3, eps=0.0)
    norm.running_var.copy_(torch.tensor([4.0, 1.0, 1e-40]))
    found = norm.eval()(torch.ones(1, 3, 1, 1)).flatten()
    assert found.tolist() == pytest.approx([0.5, 1.0, 10.0])
    assert norm.running_var[2] < 1e-39, "what was counted stays as it was counted"


@torch.no_grad()
def test_batch_normalisation_is_torchs_own_otherwise():
    """In training always, in evaluation where every channel is awake."""
    torch.manual_seed(0)
    ours, theirs, features = BatchNorm(4), nn.BatchNorm2d(4), torch.rand(5, 4, 6, 6)
    assert torch.equal(ours(features), theirs(features))
    assert torch.equal(ours.running_var, theirs.running_var)
    assert torch.equal(ours.eval()(features), theirs.eval()(features))


@pytest.mark.parametrize(
    "width, outputs, height, side",
    [(0.03, 313, 8, 8), (0.03, 2, 16, 40), (0.125, 313, 64, 32), (0.001, 2, 24, 24)],
)
def test_output_shape(width, outputs, height, side):
    network = ColorizationNet(width, outputs).eval()
    assert network(torch.full((2, 1, height, side), 50.0)).shape == (2, outputs, height // 4, side // 4)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("shape", [(1, 1, 60, 64), (1, 1, 64, 60), (1, 3, 64, 64), (1, 64, 64), (64,)])
def test_other_shapes_are_refused(tiny_network, shape):
    with pytest.raises(ValueError, match="multiples of 8, got"):
        tiny_network()(torch.zeros(shape))


def test_width_must_be_positive():
    with pytest.raises(ValueError, match="width must be positive"):
        ColorizationNet(0)


def test_lightness_is_centred_as_in_the_release(tiny_network):
    """(L - 50) / 100: L = 50 reaches the first convolution as 0, so only its bias is left."""
    network = tiny_network().eval()
    bias = network.layers["conv1_1"][0].bias
    seen = network.taps(torch.full((1, 1, 8, 8), 50.0), ["conv1_1"])["conv1_1"]
    assert torch.allclose(seen, bias.relu().view(1, -1, 1, 1).expand_as(seen))


def test_taps_have_the_papers_names_and_strides(tiny_network):
    network = tiny_network().eval()
    image = torch.rand(1, 1, 64, 32) * 100
    taps = network.taps(image)
    assert list(taps) == NAMES
    strides = {
        "conv1_1": 1,
        "conv1_2": 2,
        "conv2_2": 4,
        "conv3_3": 8,
        "conv5_3": 8,
        "conv7_3": 8,
        "conv8_1": 4,
        "out": 4,
    }
    for name, stride in strides.items():
        channels = dict(convolutions(network))[name].out_channels
        assert taps[name].shape == (1, channels, 64 // stride, 32 // stride), name
    assert torch.equal(taps["out"], network(image))
    assert (taps["conv8_3"] >= 0).all()


def test_a_choice_of_taps(tiny_network):
    network = tiny_network().eval()
    assert list(network.taps(torch.zeros(1, 1, 8, 8), ("conv3_3", "conv1_2"))) == ["conv1_2", "conv3_3"]
    with pytest.raises(KeyError, match="conv9_1"):
        network.taps(torch.zeros(1, 1, 8, 8), ["conv9_1"])


@pytest.mark.parametrize(
    "name, field",
    # conv1_1: 3.  conv1_2: 3 + 2 = 5, then steps of 2.  conv2_2: 5 + 2 * 2 + 2 * 2 = 13, then steps of 4.
    # conv3_3: 13 + 3 * 2 * 4 = 37, then steps of 8.  conv4_3: 37 + 3 * 2 * 8 = 85.
    # conv5_3: dilation 2, 85 + 3 * 4 * 8 = 181.  conv8_1: 325 + 8 (two neighbours of stride 8) = 333.  out: +
    # 2 * 2 * 4 = 349.
    [("conv1_1", 3), ("conv1_2", 5), ("conv2_2", 13), ("conv3_3", 37), ("conv4_3", 85), ("conv5_3", 181)]
    + [("conv8_1", 333), ("out", 349)],
)
def test_receptive_fields_by_asking_the_gradient(name, field):
    """With weights all alike and positive nothing cancels: a pixel has a gradient exactly where the output sees it."""
    network = ColorizationNet(0.001, 1).double().eval()  # one channel a layer
    for _, convolution in convolutions(network):
        nn.init.constant_(convolution.weight, 1 / convolution.weight[0, 0].numel())
        nn.init.zeros_(convolution.bias)
    image = torch.full((1, 1, 400, 400), 90.0, dtype=torch.float64, requires_grad=True)
    tap = network.taps(image, [name])[name]
    tap[0, 0, tap.shape[2] // 2, tap.shape[3] // 2].backward()
    rows, columns = image.grad[0, 0].nonzero().unbind(1)
    assert int(rows.max() - rows.min()) + 1 == int(columns.max() - columns.min()) + 1 == field
    assert receptive_fields(network)[name] == (field, 400 // tap.shape[2])


def test_multiply_adds():
    """conv1_1 at 256 takes 9 * 1 * 64 * 256^2 = 37.7 M.

    conv8_1: each of 64^2 outputs sees 2 x 2 x 512 inputs: 4 * 512 * 256 * 64^2.

    Everything: 42 G, so 84 GFLOP.
    """
    with torch.device("meta"):
        network = ColorizationNet()
    counts = multiply_adds(network)
    assert list(counts) == NAMES
    assert counts["conv1_1"] == 9 * 64 * 256**2
    assert counts["conv1_2"] == 9 * 64 * 64 * 128**2
    assert counts["conv8_1"] == 4 * 512 * 256 * 64**2
    assert counts["out"] == 256 * 313 * 64**2
    assert sum(counts.values()) == pytest.approx(42e9, rel=0.01)
    assert sum(multiply_adds(network, 128, 256).values()) * 2 == sum(counts.values())

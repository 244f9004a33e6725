"""The second network: an encoder that ImageNet's labels taught, under the paper's objective."""

import json
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from test_training import TINY, goal, quiet, same_state

from repro import encoder
from repro.__main__ import main
from repro.color import lab_to_rgb, lightness_to_gray
from repro.colorizer.weights import WeightsError, folded, load_weights, read_header, save_weights
from repro.encoder import EfficientNetLite0, EncoderColorizationNet, EncoderError, SameConv2d, load_encoder
from repro.evaluation.representation import layer_features
from repro.network import ColorizationNet
from repro.training.loop import Run, train
from repro.training.processes import open_fabric

# Block: expansion, kernel, stride, channels, as the table of the release has it.
BLOCKS = [(1, 3, 1, 16)]
for expansion, kernel, stride, channels, count in (
    (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1)
):  # fmt: skip
    BLOCKS += [(expansion, kernel, stride if index == 0 else 1, channels) for index in range(count)]


def normalization(name, channels, generator):
    return {
        f"{name}.weight": torch.rand(channels, generator=generator) + 0.5,
        f"{name}.bias": torch.randn(channels, generator=generator) * 0.1,
        f"{name}.running_mean": torch.randn(channels, generator=generator) * 0.1,
        f"{name}.running_var": torch.rand(channels, generator=generator) + 0.5,
    }


@pytest.fixture(scope="session")
def release():
    """Random weights under the release's names and shapes."""
    generator = torch.Generator().manual_seed(0)
    kernel = lambda *shape: torch.randn(*shape, generator=generator) / (shape[1] * shape[2] * shape[3]) ** 0.5
    found = {"_conv_stem.weight": kernel(32, 3, 3, 3)} | normalization("_bn0", 32, generator)
    previous = 32
    for index, (expansion, size, _, channels) in enumerate(BLOCKS):
        name, inner = f"_blocks.{index}", previous * expansion
        if expansion > 1:
            found[f"{name}._expand_conv.weight"] = kernel(inner, previous, 1, 1)
            found |= normalization(f"{name}._bn0", inner, generator)
        found[f"{name}._depthwise_conv.weight"] = kernel(inner, 1, size, size)
        found |= normalization(f"{name}._bn1", inner, generator)
        found[f"{name}._project_conv.weight"] = kernel(channels, inner, 1, 1)
        found |= normalization(f"{name}._bn2", channels, generator)
        previous = channels
    return found | {"_fc.bias": torch.zeros(1000)}


def in_the_releases_layout(network):
    """An EfficientNetLite0 of ours as the release would have it, for a file of weights."""
    found = {}
    for name, value in network.state_dict().items():
        place, layer, kind = name.rsplit(".", 2)
        number, part = place.split(".")[1:] if "." in place else ("", "")
        norm = {"": 0, "expand": 0, "depthwise": 1, "project": 2}[part]
        if layer == "0":
            release = f"_blocks.{number}._{part}_conv" if part else "_conv_stem"
        else:
            release = f"_blocks.{number}._bn{norm}" if part else "_bn0"
        value = value.expand(-1, 3, -1, -1) / 3 if name == "stem.0.weight" else value
        found[f"{release}.{kind}"] = value.contiguous()
    return found


def test_the_layout_is_the_releases(release):
    found = in_the_releases_layout(EfficientNetLite0())
    shapes = {name: value.shape for name, value in found.items() if "tracked" not in name}
    assert shapes == {name: value.shape for name, value in release.items() if name != "_fc.bias"}


@pytest.fixture(scope="session")
def release_file(release, tmp_path_factory):
    path = tmp_path_factory.mktemp("lite0") / "model.safetensors"
    save_file(release, path)
    return path


def plainly(weights, rgb):
    """The release's network, written down once more: three channels, one operation after the other."""

    def convolve(x, name, stride=1, groups=1):
        kernel = weights[f"{name}.weight"]
        size = kernel.shape[2]
        total = [max(0, (-(-side // stride) - 1) * stride + size - side) for side in x.shape[2:]]
        (top, left), (high, wide) = [side // 2 for side in total], total
        return F.conv2d(F.pad(x, (left, wide - left, top, high - top)), kernel, stride=stride, groups=groups)

    def normalize(x, name):
        w, b, m, v = (weights[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var"))
        return F.batch_norm(x, m, v, w, b, eps=1e-3)

    x = normalize(convolve((rgb * 255 - 127) / 128, "_conv_stem", 2), "_bn0").clamp(0, 6)
    maps = []
    for index, (expansion, _, stride, _) in enumerate(BLOCKS):
        name, y = f"_blocks.{index}", x
        if expansion > 1:
            y = normalize(convolve(y, f"{name}._expand_conv"), f"{name}._bn0").clamp(0, 6)
        y = normalize(convolve(y, f"{name}._depthwise_conv", stride, y.shape[1]), f"{name}._bn1").clamp(0, 6)
        y = normalize(convolve(y, f"{name}._project_conv"), f"{name}._bn2")
        x = x + y if stride == 1 and x.shape == y.shape else y
        maps.append(x)
    return maps


@pytest.mark.parametrize("height, width", [(64, 64), (72, 40), (224, 8)])
def test_the_encoder_is_the_releases_network_on_three_equal_channels(release, release_file, height, width):
    network = EfficientNetLite0().eval()
    load_encoder(network, str(release_file))
    gray = torch.rand(2, 1, height, width, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        ours, theirs = network(gray), plainly(release, gray.expand(-1, 3, -1, -1))
    assert [found.shape[1:] for found in ours] == [found.shape[1:] for found in theirs]
    for found, expected in zip(ours, theirs, strict=True):
        assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max()))


def test_an_odd_pixel_is_padded_at_the_end():
    """Kernel (1, 10, 100) over (1, 2, 3, 4) by twos: one zero is missing, and it stands at the right: 321, 43."""
    layer = SameConv2d(1, 1, (1, 3), (1, 2), bias=False)
    layer.weight.data = torch.tensor([1.0, 10, 100]).reshape(1, 1, 1, 3)
    answer = layer(torch.tensor([1.0, 2, 3, 4]).reshape(1, 1, 1, 4))
    assert answer.flatten().tolist() == [321, 43]


def test_it_is_shown_the_gray_of_the_picture():
    lightness = torch.linspace(0, 100, 101)
    lab = torch.stack((lightness, torch.zeros(101), torch.zeros(101)), -1)
    assert torch.allclose(lightness_to_gray(lightness), lab_to_rgb(lab)[:, 1], atol=1e-5)
    assert float(lightness_to_gray(torch.tensor(53.389))) == pytest.approx(0.5, abs=1e-3)  # mid gray, 128 of 255


@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from([2, 313]))
def test_in_and_out_are_the_papers_networks(high, wide, outputs):
    lightness = torch.full((1, 1, 8 * high, 8 * wide), 50.0)
    with torch.inference_mode():
        shapes = {kind(0.05, outputs).eval()(lightness).shape for kind in (ColorizationNet, EncoderColorizationNet)}
    assert shapes == {(1, outputs, 2 * high, 2 * wide)}


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="multiples of 8, got"):
        EncoderColorizationNet(0.1)(torch.zeros(1, 1, 12, 16))
    with pytest.raises(ValueError, match="width must be positive"):
        EncoderColorizationNet(0)
    with pytest.raises(KeyError, match="no layer"):
        EncoderColorizationNet(0.1).taps(torch.zeros(1, 1, 8, 8), ["conv1_1"])


def test_every_depth_can_be_probed(photos):
    network = EncoderColorizationNet(0.1)
    with layer_features(network, photos[:3]) as found:
        assert list(found) == [f"conv{block}" for block in range(1, 9)]
        assert all(len(rows) == 3 for rows in found.values())


def test_training_leaves_batch_statistics_and_moves_the_encoder_a_tenth_as_fast(
    photos, held_out, release_file, tmp_path
):
    settings = replace(TINY, network="encoder", encoder=str(release_file), width=0.1, steps=3, batch=4)
    run = Run(photos, held_out, settings, goal(settings), tmp_path, quiet, 1, open_fabric("cpu"))
    run.network.train()
    before = {name: value.clone() for name, value in run.network.state_dict().items()}
    assert [group["factor"] for group in run.optimizer.param_groups] == [1, 0.1]
    for group in run.optimizer.param_groups:
        group["lr"] = 1e-3 * group["factor"]
    run.step(0, settings.crop)
    moved = {name: float((value - before[name]).abs().max()) for name, value in run.network.state_dict().items()}
    assert not any(moved[name] for name in moved if name.startswith("encoder.") and "running" in name)
    assert any(moved[name] for name in moved if name.startswith("mixes.") and "running" in name)
    assert moved["encoder.stem.0.weight"] == pytest.approx(1e-4, rel=0.05)  # Adam's first step is the rate
    assert moved["out.weight"] == pytest.approx(1e-3, rel=0.05)


def test_it_trains_resumes_and_loads_by_its_file_alone(photos, held_out, release_file, tmp_path):
    settings = replace(TINY, network="encoder", encoder=str(release_file), width=0.1, steps=4)
    whole = train(photos, held_out, settings, goal(settings), tmp_path / "whole", quiet)

    class Interrupted(Exception):
        pass

    def report(line):
        if "step 4:" in line:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(photos, held_out, settings, goal(settings), tmp_path / "cut", report)
    train(photos, held_out, settings, goal(settings), tmp_path / "cut", quiet)
    assert same_state(tmp_path / "whole", tmp_path / "cut")
    assert read_header(whole.weights)["network"] == "encoder"
    assert load_weights(whole.weights, goal().bins)[0].kind == "encoder"


def test_no_hub_is_asked_for_a_weights_file(tmp_path):
    path = tmp_path / "encoder.safetensors"
    save_weights(path, EncoderColorizationNet(0.1), goal())
    code = (
        "import sys\n"
        "for name in ('transformers', 'huggingface_hub', 'timm', 'requests', 'sklearn'): sys.modules[name] = None\n"
        "from repro.bins import ab_bins\n"
        "from repro.colorizer.weights import load_weights\n"
        f"print(load_weights({str(path)!r}, ab_bins())[0].kind)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert answer.stdout.strip() == "encoder", answer.stderr


def test_a_file_of_another_network_is_named(tmp_path):
    path = tmp_path / "other.safetensors"
    save_weights(path, EncoderColorizationNet(0.1), goal())
    header = read_header(path) | {"network": "unheard"}
    save_file(load_file(path), path, {"repro": json.dumps(header)})
    with pytest.raises(WeightsError, match="network must be one of paper, unnormalized, encoder, got .unheard."):
        load_weights(path, goal().bins)


def test_folded_for_answering_it_answers_the_same_without_batch_normalisation():
    torch.manual_seed(0)
    network = EncoderColorizationNet(0.1).eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.running_var, 0.5, 2)
            torch.nn.init.normal_(layer.running_mean, std=0.1)
            torch.nn.init.uniform_(layer.weight, 0.5, 2)
    answering = folded(deepcopy(network))
    assert not [layer for layer in answering.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    lightness = 100 * torch.rand(2, 1, 32, 48)
    with torch.inference_mode():
        ours, theirs = answering.taps(lightness), network.taps(lightness)
        assert torch.allclose(answering(lightness), network(lightness), atol=1e-4)
    assert list(ours) == list(theirs)
    for name in ours:
        assert torch.allclose(ours[name], theirs[name], atol=1e-4 * float(theirs[name].abs().max()))


def test_the_papers_network_has_nothing_to_fold():
    network = ColorizationNet(0.1)
    assert folded(network) is network


def test_weights_of_the_encoder_that_are_not_there(tmp_path, monkeypatch, release):
    network = EfficientNetLite0()
    with pytest.raises(EncoderError, match="names no file, folder, Hub name or `package`: 'nowhere/at/all'"):
        load_encoder(network, "nowhere/at/all")
    monkeypatch.setattr(encoder, "PACKAGE", "a_package_that_is_not_there")
    with pytest.raises(EncoderError, match=r"not installed: python -m pip install .*\[encoder\]"):
        load_encoder(network, "package")
    broken = tmp_path / "model.safetensors"
    broken.write_bytes(b"no tensors")
    with pytest.raises(EncoderError, match="does not hold EfficientNet-Lite0"):
        load_encoder(network, str(tmp_path))
    save_file({name: value for name, value in release.items() if "_blocks.7._bn1" not in name}, broken)
    with pytest.raises(EncoderError, match=r"does not hold EfficientNet-Lite0 .*_blocks\.7\._bn1"):
        load_encoder(network, str(broken))


def test_the_command_says_in_one_line_that_the_encoder_is_missing(photos, held_out, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    for split, array in (("train", photos), ("val", held_out)):
        np.save(data / f"{split}.npy", array)
        names = [f"{split}/{index}" for index in range(len(array))]
        report = {"names": names, "labels": [-1] * len(array), "classes": [], "source": "folder"}
        (data / f"{split}.json").write_text(json.dumps(report))
    changes = "network=encoder", "encoder=/nowhere/at/all.pth", "initialization=he", "crop=16", "batch=4", "steps=1"
    words = [word for change in changes for word in ("--set", f"train.{change}")]
    folder = ["--data", str(data), "--folder", str(tmp_path / "run"), "--prior", str(tmp_path / "prior.npz")]
    assert main(["train", *words, *folder, "--accelerator", "cpu"]) == 1
    error = capsys.readouterr().err
    assert error == "error: train.encoder names no file, folder, Hub name or `package`: '/nowhere/at/all.pth'\n"


def test_a_pickle_is_read_as_data_only(release, release_file, tmp_path):
    path = tmp_path / "release.pth"
    torch.save(release, path)
    networks = [EfficientNetLite0(), EfficientNetLite0()]
    for network, source in zip(networks, (path, release_file), strict=True):
        load_encoder(network, str(source))
    assert all(torch.equal(*pair) for pair in zip(*(n.state_dict().values() for n in networks), strict=True))

    class Evil:
        def __reduce__(self):
            return print, ("run",)

    torch.save({"_conv_stem.weight": Evil()}, path)
    with pytest.raises(EncoderError, match="does not hold"):
        load_encoder(networks[0], str(path))

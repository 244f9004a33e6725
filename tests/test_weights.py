"""Weights on disk: what is written comes back, what is not ours is refused, and nothing half-written is ever seen."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from repro.bins import ab_bins
from repro.colorizer import Colorizer
from repro.colorizer.weights import WeightsError, halve, load_weights, read_header, save_weights
from repro.files import write_atomically
from repro.objectives import Objective


@pytest.fixture
def saved(tmp_path, tiny_network, bins):
    network = tiny_network().eval()
    path = tmp_path / "models" / "net.safetensors"
    extra = {"adam.0.step": torch.tensor(3.0)}
    save_weights(path, network, Objective("classification", bins), extra, short_side=64, scores={"auc": 0.9})
    return path, network


def test_round_trip(saved, bins):
    path, network = saved
    loaded, header, extra = load_weights(path, bins)
    image = torch.rand(2, 1, 16, 24) * 100
    assert torch.equal(loaded(image), network(image))
    assert not loaded.training and all(p.requires_grad for p in loaded.parameters())
    assert header["objective"] == "classification" and header["short_side"] == 64 and header["scores"] == {"auc": 0.9}
    assert extra.keys() == {"adam.0.step"} and extra["adam.0.step"] == 3


def test_half_precision(saved, bins, tmp_path):
    path, network = saved
    target = tmp_path / "half" / "net.safetensors"
    trained = {"initialization": "/some/where/OBJECTIVE.safetensors", "width": 0.03}
    halve(path, target, short_side=112, settings=trained)
    halve(target, target)
    assert read_header(target)["settings"] == trained | {"initialization": "OBJECTIVE.safetensors"}
    loaded, header, extra = load_weights(target, bins)
    assert header["short_side"] == 112 and header["scores"] == {"auc": 0.9}
    assert not extra, "an optimiser's state stays behind"
    for name, value in network.state_dict().items():
        found = loaded.state_dict()[name]
        assert found.dtype == value.dtype
        assert torch.equal(found, value.half().float() if value.ndim == 4 else value)
    assert target.stat().st_size < 0.8 * path.stat().st_size


def test_what_does_not_fit_half_precision_is_refused(saved, bins, tmp_path):
    path, network = saved
    with torch.no_grad():
        network.layers["conv3_1"][0].weight[0] = 1e5
    save_weights(path, network, Objective("classification", bins))
    with pytest.raises(WeightsError, match="conv3_1.* does not fit half precision"):
        halve(path, tmp_path / "half.safetensors")
    assert not (tmp_path / "half.safetensors").exists()


def test_loaded_networks_can_be_trained_on(saved, bins):
    network = load_weights(saved[0], bins)[0].train()
    network(torch.rand(2, 1, 16, 16)).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_the_header_alone(saved):
    header = read_header(saved[0])
    assert header == {
        "objective": "classification",
        "network": "paper",
        "width": 0.03,
        "outputs": 313,
        "bins": "5275882a7263e526",
        "short_side": 64,
        "scores": {"auc": 0.9},
    }


def test_channels_last_and_half_precision_networks_come_back_as_float32(tmp_path, tiny_network, bins):
    network = tiny_network(2).eval().to(memory_format=torch.channels_last)
    save_weights(tmp_path / "a", network, Objective("regression", bins))
    image = torch.rand(1, 1, 16, 16) * 100
    assert torch.allclose(load_weights(tmp_path / "a", bins)[0](image), network(image), atol=1e-5)
    save_weights(tmp_path / "b", network.half(), Objective("regression", bins))
    assert all(p.dtype == torch.float32 for p in load_weights(tmp_path / "b", bins)[0].parameters())


def test_loading_leaves_the_random_numbers_alone(saved, bins):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_weights(saved[0], bins)
    assert torch.equal(torch.rand(3), expected)


# -- what is refused -------------------------------------------------------------------------------------------------


def test_other_bins_are_refused(saved):
    with pytest.raises(WeightsError, match="trained with ab bins 5275882a7263e526, but the bins here are"):
        load_weights(saved[0], ab_bins(20))


def test_a_missing_file(tmp_path, bins):
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(WeightsError, match="no such weights file"):
            load_weights(path, bins)


@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.999])
def test_a_truncated_file(saved, bins, share):
    path = saved[0]
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(WeightsError, match="not a weights file of this project, or broken"):
        load_weights(path, bins)
    with pytest.raises(WeightsError):
        read_header(path)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n" * 100, b"\xff" * 4096, os.urandom(4096), b'{"a": 1}'])
def test_garbage(tmp_path, bins, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(WeightsError, match="not a weights file"):
        load_weights(tmp_path / "x", bins)


OURS = {"objective": "regression", "width": 0.03, "outputs": 2, "bins": "5275882a7263e526"}


@pytest.mark.parametrize(
    "metadata",
    [None, {"format": "pt"}] + [{"repro": text} for text in ("no json", "5", "[]", "null", '{"width": 1.0}')],
)
def test_safetensors_of_another_project(tmp_path, bins, metadata):
    save_file({"weight": torch.zeros(3)}, tmp_path / "x", metadata)
    with pytest.raises(WeightsError, match="not a weights file of this project"):
        load_weights(tmp_path / "x", bins)


@pytest.mark.parametrize(
    "change", [{}, {"width": 0.5}, {"width": 1e9}, {"width": -1}, {"width": "wide"}, {"outputs": 5}]
)
def test_a_header_that_does_not_fit_its_tensors(saved, tmp_path, bins, change):
    """A header that lies about its width costs no memory: shapes are compared before anything is allocated."""
    save_file({"network.weight": torch.zeros(3)}, tmp_path / "x", {"repro": json.dumps(OURS | change)})
    with pytest.raises(WeightsError, match="do not fit a network of width|width must be|has 2 outputs"):
        load_weights(tmp_path / "x", bins)


def rewritten(path, target, header=None, **tensors):
    """A copy of a weights file with another header, JSON text or changes by name, and other tensors."""
    with safe_open(path, "pt") as file:
        known = json.loads(file.metadata()["repro"])
        kept = {name: file.get_tensor(name) for name in file.keys()}
    text = header if isinstance(header, str) else json.dumps(known | (header or {}))
    save_file(kept | tensors, target, {"repro": text})
    return target


@pytest.mark.parametrize(
    "header",
    [
        *({"short_side": side} for side in (-1, 0, 7, 1e9, 10**400, "64", None, True, [64], 64.5)),
        *({"width": width} for width in (float("inf"), float("nan"), 0, 1e300, None, {}, "\x1b[31m")),
        *({"objective": name} for name in ("regression", "<script>alert(1)</script>", "\x1b[2Jrebalanced", 5, [])),
        *({"outputs": count} for count in (2, 0, -313, 1e12, "313", None)),
        *({"network": kind} for kind in ("unheard", None, [], "A" * 10**6)),
        *({"bins": value} for value in (None, 5, ["5275882a7263e526"], "\x1b[31m" * 1000)),
        *({"step": step} for step in (-1, "5", None)),
        *({"settings": value} for value in (None, [], "x", {"encoder": 5}, {"initialization": None})),
        *({"colorize": value} for value in (None, [], "x", {"unknown": 1}, {"origin": "x"}, {"network": 1})),
        *({"colorize": {"short_side": side}} for side in (0, 1e9, "64", None)),
        *({"colorize": {"temperature": t}} for t in (0, -1, float("nan"), "hot")),
        *({"colorize": {name: 1}} for name in ("guided", "mirrored", "as_scan", "decoding")),
        '["objective", "width", "outputs", "bins"]',
        '{"a":' * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"objective": "classification", "width": ' + "[" * 900 + "]" * 900 + ', "outputs": 313, "bins": "x"}',
        "9" * 5000,
    ],
    ids=lambda header: str(header)[:60],
)
def test_whatever_a_header_says_is_checked_in_one_line(saved, tmp_path, bins, header):
    path = rewritten(saved[0], tmp_path / "x.safetensors", header)
    with pytest.raises(WeightsError) as refused:
        load_weights(path, bins)
    message = str(refused.value)
    assert message.startswith(f"{path}: ") and message.isprintable() and len(message) < len(str(path)) + 350
    if isinstance(header, dict):
        assert next(iter(header)) in message or "outputs" in message, "it names what is wrong"


def test_a_header_of_every_kind_is_taken(saved, tmp_path, bins):
    """What is in range is not refused, and a whole number may stand where a fraction may."""
    chosen = {"short_side": 1024, "decoding": "mode", "temperature": 1, "guided": True}
    path = rewritten(saved[0], tmp_path / "x", {"colorize": chosen, "step": 0, "history": [], "note": None})
    header = load_weights(path, bins)[1]
    assert header["colorize"] == chosen and type(header["colorize"]["temperature"]) is float


NORM = "network.layers.conv1_2.2.running_var"
KERNEL = "network.layers.conv1_1.0.weight"


@pytest.mark.parametrize(
    "name, spoil, reason",
    [
        (KERNEL, lambda value: value.index_fill(0, torch.tensor([0]), float("nan")), "not finite"),
        (KERNEL, lambda value: value.index_fill(0, torch.tensor([0]), -float("inf")), "not finite"),
        (KERNEL, lambda value: value.to(torch.float8_e4m3fn), "must be of float32, float16, bfloat16"),
        (KERNEL, lambda value: value.to(torch.float8_e5m2), "must be of float32, float16, bfloat16"),
        (KERNEL, lambda value: value.to(torch.int64), "must be of float32, float16, bfloat16"),
        (KERNEL, lambda value: value.to(torch.complex64), "must be of float32, float16, bfloat16"),
        (KERNEL, lambda value: value[:, :, :2], "do not fit a network"),
        (NORM, lambda value: -value - 1, "negative variance"),
        (NORM, lambda value: value * float("nan"), "not finite"),
        (NORM, lambda value: value.double(), "must be of float32, float16, bfloat16"),
    ],
)
def test_weights_that_no_network_can_compute_with(saved, tmp_path, bins, name, spoil, reason):
    with safe_open(saved[0], "pt") as file:
        spoiled = spoil(file.get_tensor(name)).contiguous()
    path = rewritten(saved[0], tmp_path / "x", **{name: spoiled})
    with pytest.raises(WeightsError, match=reason) as refused:
        load_weights(path, bins)
    assert str(refused.value).isprintable() and len(str(refused.value)) < 500


@pytest.mark.parametrize("objective, outputs", [("classification", 313), ("regression", 2)])
@pytest.mark.parametrize("huge", [1e38, 1e30])
def test_no_picture_comes_from_weights_that_overflow(tmp_path, bins, tiny_network, objective, outputs, huge):
    """Each weight is finite, and what they compute is not."""
    network = tiny_network(outputs).eval()
    with torch.no_grad():
        network.layers["out"][0].weight.fill_(huge)
        network.layers["conv8_3"][0].bias.fill_(huge)
    save_weights(tmp_path / "x.safetensors", network, Objective(objective, bins))
    photo = tmp_path / "photo.png"
    Image.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(photo)
    told = subprocess.run(
        [sys.executable, "-m", "repro", "colorize", photo, "--weights", tmp_path / "x.safetensors"]
        + ["--out", tmp_path / "out"],
        capture_output=True,
        text=True,
    )
    assert told.returncode == 1 and told.stderr.count("\n") == 1 and "its weights are unsound" in told.stderr
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "options", [{"short_side": 0}, {"short_side": 10**9}, {"temperature": -1.0}, {"decoding": "best"}, {"colour": 1}]
)
def test_options_of_the_caller_are_checked_as_the_headers_are(options):
    with pytest.raises(ValueError, match=f"an option: .*{next(iter(options))}"):
        Colorizer.load(**options)


# -- atomic writing --------------------------------------------------------------------------------------------------


def test_writing_replaces_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "new" / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two" and [p.name for p in path.parent.iterdir()] == ["file"]


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_keeps_the_old_file(small_disk):
    path = small_disk / "weights"
    write_atomically(path, b"old" * 1000)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new" * 100_000)
    assert path.read_bytes() == b"old" * 1000
    assert [p.name for p in small_disk.iterdir()] == ["weights"]


def test_a_failing_disk_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "weights"
    write_atomically(path, b"old")

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def keep_writing(path, contents):
    while True:
        for content in contents:
            write_atomically(path, content)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_while_writing_the_file_always_loads(saved, tmp_path, tiny_network, bins):
    first, _ = saved
    save_weights(tmp_path / "second", tiny_network().eval(), Objective("classification", bins), short_side=99)
    contents, path = [first.read_bytes(), (tmp_path / "second").read_bytes()], tmp_path / "killed" / "weights"
    write_atomically(path, contents[0])
    waits = random.Random(0)
    for _ in range(8):
        writer = multiprocessing.get_context("fork").Process(target=keep_writing, args=(path, contents))
        writer.start()
        time.sleep(waits.uniform(0.01, 0.06))
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        assert load_weights(path, bins)[1]["short_side"] in (64, 99)

"""Weights on disk: what is written comes back, what is not ours is refused, and nothing half-written is ever
seen."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import time

import pytest
import torch
from safetensors.torch import save_file

from repro.bins import ab_bins
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
    assert (
        header["objective"] == "classification"
        and header["short_side"] == 64
        and header["scores"] == {"auc": 0.9}
    )
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


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n" * 100, b"\xff" * 4096, os.urandom(4096), b'{"a": 1}']
)
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
    """A header that lies about its width costs no memory: shapes are compared before anything is
    allocated."""
    save_file({"network.weight": torch.zeros(3)}, tmp_path / "x", {"repro": json.dumps(OURS | change)})
    with pytest.raises(WeightsError, match="do not fit a network of width"):
        load_weights(tmp_path / "x", bins)


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

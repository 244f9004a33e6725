"""The authors' weights, stood in for by an independent module of their layout: read, fetched, drawn from; refused."""

import hashlib
import http.server
import os
import random
import socket
import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from skimage.color import rgb2lab
from torch import nn

from repro.__main__ import main
from repro.bins import ab_bins
from repro.color import rgb8_to_lab, rgb8_to_lightness
from repro.colorizer import Colorizer, enlarge, release
from repro.colorizer.weights import WeightsError, load_weights, read_header, save_weights
from repro.network import DEAD
from repro.objectives import Objective


class Release(nn.Module):
    """The sequence of layers of the authors' PyTorch release, colorizers/eccv16.py, written down again."""

    def __init__(self):
        super().__init__()

        def block(*channels, stride=1, dilation=1):
            layers = []
            for index, (before, after) in enumerate(zip(channels, channels[1:], strict=False)):
                step = stride if index == len(channels) - 2 else 1
                layers += [nn.Conv2d(before, after, 3, step, padding=dilation, dilation=dilation), nn.ReLU(True)]
            return nn.Sequential(*layers, nn.BatchNorm2d(channels[-1]))

        self.model1 = block(1, 64, 64, stride=2)
        self.model2 = block(64, 128, 128, stride=2)
        self.model3 = block(128, 256, 256, 256, stride=2)
        self.model4 = block(256, 512, 512, 512)
        self.model5 = block(512, 512, 512, 512, dilation=2)
        self.model6 = block(512, 512, 512, 512, dilation=2)
        self.model7 = block(512, 512, 512, 512)
        self.model8 = nn.Sequential(
            nn.ConvTranspose2d(512, 256, 4, 2, padding=1), nn.ReLU(True),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(True),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(True), nn.Conv2d(256, 313, 1),
        )  # fmt: skip
        self.softmax = nn.Softmax(dim=1)
        self.model_out = nn.Conv2d(313, 2, 1, bias=False)
        self.upsample4 = nn.Upsample(scale_factor=4, mode="bilinear")

    def logits(self, lightness):
        features = (lightness - 50.0) / 100.0
        for number in range(1, 9):
            features = getattr(self, f"model{number}")(features)
        return features

    def forward(self, lightness):
        return self.upsample4(self.model_out(self.softmax(self.logits(lightness)))) * 110.0


@pytest.fixture(scope="module")
def authors():
    """Random weights, decided logits, statistics of every size, and a channel that is all but silent."""
    torch.manual_seed(0)
    model = Release()
    model.model_out.weight.data = (ab_bins() / 110).T.reshape(2, 313, 1, 1).clone()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.02)
            layer.running_var.uniform_(0.002, 0.02)
            layer.running_var[3] = 1e-8
            layer.weight.data.uniform_(0.8, 1.2)
            layer.bias.data.normal_(0, 0.1)
    model.model8[6].weight.data *= 100
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def pth(authors, tmp_path_factory):
    """In torch's old format, as its size says of the authors' file."""
    path = tmp_path_factory.mktemp("release") / release.FILE
    torch.save(authors.state_dict(), path, _use_new_zipfile_serialization=False)
    assert 128_974_000 < path.stat().st_size < 128_978_000
    return path


@pytest.fixture
def published(pth, monkeypatch, tmp_path):
    """As if the stand-in were what the authors published; with a cache of its own."""
    data = pth.read_bytes()
    monkeypatch.setattr(release, "SHA256", hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(release, "SIZE", len(data))
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "cache"))
    return data


@pytest.fixture(scope="module")
def imported(pth, tmp_path_factory):
    return release.import_file(pth, tmp_path_factory.mktemp("imported") / "authors.safetensors")


@pytest.fixture
def serve(monkeypatch):
    """Serves one answer on loopback, as both of the addresses."""
    servers = []

    def start(body, length=None, status=200):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(length or len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        asked = []
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{servers[-1].server_port}"
        monkeypatch.setattr(
            release, "ADDRESSES", (f"{address}/first/{release.FILE}", f"{address}/second/{release.FILE}")
        )
        return asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files, to see that nothing stays there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


# ---- the oracle ----


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(2, 1, 64, 96), (1, 1, 256, 256)])
def test_logits_are_bitwise_those_of_the_release(authors, imported, bins, shape):
    network, header, _ = load_weights(imported, bins)
    lightness = 100 * torch.rand(shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = authors.logits(lightness), network(lightness)
    assert torch.equal(found, expected)
    assert 1 < found.std() < 20, "logits that decide something"
    assert network.floor == header["floor"] == 0


@pytest.mark.slow
def test_the_floor_under_silent_channels_belongs_to_the_file(authors, imported, bins, tiny_network):
    """With it the release's logits would be others; a file that says nothing has it."""
    network, *_ = load_weights(imported, bins)
    lightness = 100 * torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    network.floor = DEAD
    with torch.inference_mode():
        assert (network(lightness) - authors.logits(lightness)).abs().max() > 0.1
    assert tiny_network().floor == DEAD == Colorizer.load("rebalanced").network.floor


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(96, 150), (300, 200)])
def test_the_final_ab_map_is_the_releases(authors, imported, monkeypatch, shape):
    """Their demonstration step by step: squashed, decoded, enlarged twice; to 1e-4 ab units.

    Theirs has skimage's lightness, which ours equals to 1e-4 L; random weights would make more of that.
    """
    coarse = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    photo = np.asarray(Image.fromarray(coarse).resize(shape[::-1], Image.Resampling.BICUBIC))
    copy = np.asarray(Image.fromarray(photo).resize((256, 256), resample=3))
    lightness = torch.from_numpy(rgb8_to_lightness(copy))[None, None]
    assert np.abs(lightness[0, 0].numpy() - rgb2lab(copy)[:, :, 0]).max() < 1e-4
    with torch.inference_mode():
        expected = F.interpolate(authors(lightness), size=shape, mode="bilinear")[0].permute(1, 2, 0)
    seen, ours = [], enlarge.lab_to_rgb_at_its_lightness
    monkeypatch.setattr(
        enlarge, "lab_to_rgb_at_its_lightness", lambda lab: seen.append(lab[..., 1:].clone()) or ours(lab)
    )
    colored = Colorizer.load(imported).colorize(photo)
    assert (seen[0] - expected).abs().max() < 1e-4
    assert expected.std() > 3, "colours that differ"
    assert np.abs(rgb8_to_lab(colored)[..., 0] - rgb8_to_lab(photo)[..., 0]).max() < 0.5


def test_it_decodes_as_the_release_unless_asked_otherwise(imported):
    model = Colorizer.load(imported)
    assert (model.decoding, model.temperature, model.short_side, model.as_release) == ("annealed", 1.0, 256, True)
    assert not (model.guided or model.mirrored or model.as_scan)
    assert model.card()["as_release"] and "trained_on" not in model.card(), "these weights are not the authors'"
    other = Colorizer.load(imported, temperature=0.38, short_side=64)
    photo = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    pale, vivid = other.colorize(photo, temperature=1.0), other.colorize(photo)
    assert other.temperature == 0.38 and not np.array_equal(pale, vivid)


def test_batch_statistics_without_counters_are_read(authors):
    """As files of older versions of torch have them."""
    tensors = {name: value for name, value in authors.state_dict().items() if not name.endswith("tracked")}
    assert len(tensors) == 82 - 7
    assert release.network_of(tensors).layers["conv1_2"][2].num_batches_tracked == 0


# ---- fetched ----


@pytest.mark.slow
def test_it_is_fetched_once_and_kept(published, serve, temporary, tmp_path, capsys):
    asked = serve(published)
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 24), dtype=np.uint8)).save(photo)
    for out in ("one", "two"):
        assert main(["colorize", str(photo), "--weights", "release", "--out", str(tmp_path / out)]) == 0
    assert asked == [f"/first/{release.FILE}"]
    said = capsys.readouterr()
    assert "weights: release: the authors' own weights (BSD-2-Clause)" in said.out
    assert said.err.count("\n") == 1 and "fetching the authors' weights, 129 MB, once" in said.err
    assert os.listdir(tmp_path / "cache") == ["colorization_release_v2-9b330a0b.safetensors"]
    assert not os.listdir(temporary), "129 MB are not kept twice"
    assert "BSD-2-Clause" in read_header(release.place())["licence"]
    assert Colorizer.load("release").card()["trained_on"].startswith("ImageNet")
    assert read_header(release.place())["source"] == {"file": release.FILE, "sha256": release.SHA256}


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["web page", "cut short", "a byte changed", "broken off", "404"])
def test_what_is_not_the_file_is_one_line_and_leaves_nothing(fault, published, serve, temporary, tmp_path, capsys):
    """Both addresses are asked; of a transfer that breaks off the server had promised more."""
    changed = bytearray(published)
    changed[1_000_000] ^= 1
    page = b"<!DOCTYPE html><title>Sign in to the hotel's network</title>"
    body, length, status = {
        "web page": (page, None, 200), "cut short": (published[:70_000_000], None, 200),
        "a byte changed": (bytes(changed), None, 200), "broken off": (published[:5000], len(published), 200),
        "404": (page, None, 404),
    }[fault]  # fmt: skip
    asked = serve(body, length, status)
    photo = tmp_path / "photo.png"
    Image.new("L", (16, 16)).save(photo)
    assert main(["colorize", str(photo), "--weights", "release", "--out", str(tmp_path / "out")]) == 1
    assert len(asked) == 2
    *fetching, error = capsys.readouterr().err.splitlines()
    assert len(fetching) == 2
    assert error.startswith("error: the authors' weights could not be fetched (")
    assert "python -m repro import colorization_release_v2-9b330a0b.pth" in error
    assert ("not their file" in error) == (fault in ("web page", "cut short", "a byte changed"))
    assert not (tmp_path / "cache").exists() and not (tmp_path / "out").exists() and not os.listdir(temporary)


def test_without_a_network_one_line_says_what_to_do(published, monkeypatch, temporary):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr(release, "ADDRESSES", (f"http://127.0.0.1:{free.getsockname()[1]}/{release.FILE}",))
        with pytest.raises(WeightsError, match=r"ConnectionError.*See that there is a network.*repro import") as found:
            Colorizer.load("release")
    assert "\n" not in str(found.value) and not os.listdir(temporary)


def test_without_pooch_one_line_says_what_to_do(published, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pooch", None)
    with pytest.raises(WeightsError, match="pip install pooch.*repro import"):
        Colorizer.load("release")


def test_a_cache_that_cannot_be_written_or_is_damaged(published, pth, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(WeightsError, match="cannot be written.*REPRO_CACHE"):
        release.import_file(pth)
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path))
    release.place().write_bytes(b"half of it")
    with pytest.raises(WeightsError, match="broken.*delete it and run this again"):
        Colorizer.load("release")


# ---- imported ----


def test_other_weights_in_its_place_are_not_the_authors(published, tmp_path, tiny_network, bins):
    goal = Objective("rebalanced", bins, torch.ones(313))
    save_weights(release.place(), tiny_network(313), goal)
    with pytest.raises(WeightsError, match="was not made of the file that the authors published"):
        Colorizer.load("release")


def test_import_keeps_the_published_file_under_its_name(published, pth, tmp_path, capsys):
    assert main(["import", str(pth)]) == 0
    assert "colour with --weights release" in capsys.readouterr().out
    assert Colorizer.load("release").description.startswith("release: the authors' own weights")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n  <html>Moved</html>", "is a web page, not weights; fetch https"),
        (b"", "it has 0 bytes"),
        (random.Random(0).randbytes(5000), "it has 5,000 bytes and sha256 .*expected 128,976,165 and 9b330a0b"),
    ],
)
@pytest.mark.parametrize("out", [False, True])
def test_import_refuses_what_is_not_the_file(content, message, out, tmp_path, monkeypatch, capsys):
    """Under a name of its own another file is looked into, and these hold nothing."""
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "x.pth").write_bytes(content)
    more = ["--out", str(tmp_path / "x.safetensors")] if out else []
    assert main(["import", str(tmp_path / "x.pth"), *more]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    with pytest.raises(WeightsError, match="no file of PyTorch weights" if out and b"html" not in content else message):
        release.import_file(tmp_path / "x.pth", tmp_path / "x.safetensors" if out else None)
    assert os.listdir(tmp_path) == ["x.pth"]


def test_import_of_no_file(tmp_path, capsys):
    assert main(["import", str(tmp_path / "none.pth")]) == 1
    assert "No such file" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "none.pth"), "--out", "x.pth"]) == 1
    assert "--out must end in .safetensors" in capsys.readouterr().err


class Evil:
    def __reduce__(self):
        return os.system, ("touch pwned",)


@pytest.mark.parametrize("whole", [[torch.zeros(2)], {"model1.0.weight": Evil()}, {"weights": torch.zeros(2)}, {}])
def test_other_contents_are_refused_and_nothing_runs(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(whole, "x.pth")
    with pytest.raises(WeightsError) as found:
        release.import_file("x.pth", "x.safetensors")
    assert "\n" not in str(found.value)
    assert os.listdir(tmp_path) == ["x.pth"]


@pytest.mark.parametrize("share", [0.3, 0.9999])
def test_a_truncated_file_of_the_layout(pth, share, tmp_path):
    (tmp_path / "x.pth").write_bytes(pth.read_bytes()[: int(pth.stat().st_size * share)])
    with pytest.raises(WeightsError, match="no file of PyTorch weights, or damaged"):
        release.import_file(tmp_path / "x.pth", tmp_path / "x.safetensors")
    assert os.listdir(tmp_path) == ["x.pth"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model3.4.weight": None}, "layers.conv3_3.0.weight is missing"),
        ({"model3.4.weight": torch.zeros(256, 256, 1, 1)}, "another shape"),
        ({"model9.0.weight": torch.zeros(1)}, "it has 'model9.0.weight' besides"),
        ({"model8.6.bias": torch.full((313,), float("nan"))}, "out.0.bias holds values"),
        ({"model4.6.running_var": torch.full((512,), -1.0)}, "conv4_3.2.running_var holds values"),
        ({"model_out.weight": None}, "does not hold the 313 ab bins in their order"),
        ({"model_out.weight": (ab_bins().flip(0) / 110).T.reshape(2, 313, 1, 1)}, "313 ab bins in their order"),
        ({"model_out.weight": torch.zeros(3)}, "313 ab bins in their order"),
    ],
)
def test_another_layout_is_named(authors, change, message):
    tensors = {name: value for name, value in (authors.state_dict() | change).items() if value is not None}
    with pytest.raises(WeightsError, match=message):
        release.network_of(tensors)

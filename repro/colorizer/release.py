"""The authors' own weights: fetched once, or imported from a file, and kept as a file of this project's.

Their PyTorch release (github.com/richzhang/colorization, colorizers/eccv16.py; BSD-2-Clause) is the paper's full
model, trained on all of ImageNet.  It decodes at T = 1, squashes a photograph to 256 x 256, and has torch's plain
batch normalisation: the file that is kept says all of that.
"""

import hashlib
import os
import re
import sys
import tempfile
from io import BytesIO
from pathlib import Path, PurePosixPath
from textwrap import shorten

import torch

from repro.bins import ab_bins
from repro.colorizer.weights import WeightsError, read_header, save_weights
from repro.files import read_file
from repro.network import BLOCKS, DECODER, ColorizationNet
from repro.objectives import Objective

NAME = "release"  # in place of a file, for `Colorizer.load` and --weights
WHAT = "the authors' own weights (BSD-2-Clause), trained on all of ImageNet"
FILE = "colorization_release_v2-9b330a0b.pth"
ADDRESSES = (  # the authors', and a mirror
    f"https://colorizers.s3.us-east-2.amazonaws.com/{FILE}",
    f"https://storage.openvinotoolkit.org/repositories/open_model_zoo/public/2022.1/colorization-v2/{FILE}",
)
SIZE = 128_976_165  # bytes
SHA256 = "9b330a0bae53f4ded77b1e23defbf78beaa09c10ebc4c4999e8e4f4a160b93f9"
COLORS = "model_out.weight"  # of the layer that decodes: the bins, divided by ...
COLOR_SCALE = 110
AS_RELEASED = {  # how the release draws; in the header of the file that is kept
    "short_side": 256,
    "colorize": {"decoding": "annealed", "temperature": 1.0, "as_release": True},
}
ORIGIN = {  # of the authors' file alone
    "trained_on": "ImageNet's training photographs, by the authors",
    "licence": "BSD-2-Clause, (c) 2016 Richard Zhang, Phillip Isola, Alexei A. Efros",
}


def place():
    """Where the authors' weights are kept: in REPRO_CACHE, or else in the user's cache."""
    cache = os.environ.get("REPRO_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "repro"
    )
    return Path(cache) / Path(FILE).with_suffix(".safetensors")


def kept_or_fetched():
    """The file of the authors' weights, which is fetched where it is not there.  Raises WeightsError."""
    if not place().exists():
        return fetch()
    try:
        source = read_header(place()).get("source")
    except WeightsError as error:
        raise WeightsError(f"{error}; delete it and run this again, and it is fetched anew") from None
    if not isinstance(source, dict) or source.get("sha256") != SHA256:
        raise WeightsError(
            f"{place()}: was not made of the file that the authors published; move it elsewhere and run this again, "
            "and that is fetched"
        )
    return place()


def fetch():
    """Fetch the authors' file, check it and keep it; returns where.  Raises WeightsError, and leaves nothing behind."""
    by_hand = f"Or fetch {ADDRESSES[0]} by other means and hand it over: python -m repro import {FILE}"
    try:
        import pooch  # of an extra: the package alone colours without it
    except ModuleNotFoundError:
        raise WeightsError(
            f"the authors' weights are fetched by pooch, which is missing: python -m pip install pooch. {by_hand}"
        ) from None
    pooch.get_logger().setLevel("WARNING")
    with tempfile.TemporaryDirectory(prefix="repro-release-") as folder:
        reasons = []
        for address in ADDRESSES:
            print(f"fetching the authors' weights, {SIZE / 1e6:.0f} MB, once: {address}", file=sys.stderr, flush=True)
            try:
                pooch.retrieve(address, known_hash=f"sha256:{SHA256}", fname=FILE, path=folder)
                return import_file(Path(folder) / FILE)
            except ValueError as error:  # pooch: the hash is another; requests: an address or proxy that is none
                another = "hash" in str(error)
                reasons.append("what came is not their file, and was not kept" if another else shorten(str(error), 120))
            except OSError as error:  # requests' errors are of this kind too
                reasons.append(f"{type(error).__name__}, {address.split('/')[2]}")
    raise WeightsError(
        f"the authors' weights could not be fetched ({'; '.join(reasons)}). See that there is a network, and run this "
        f"again. {by_hand}"
    )


def import_file(path, out=None):
    """Keep a file of the release's layout, .pth, as one of this project's; returns where.

    out: a .safetensors file; None: where `Colorizer.load("release")` looks, for the very file that the authors
    published and no other.  Raises WeightsError, and writes nothing, for any other file.
    """
    try:
        data = read_file(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from None
    found = hashlib.sha256(data).hexdigest()
    if data.lstrip()[:1] == b"<":
        raise WeightsError(f"{path}: is a web page, not weights; fetch {ADDRESSES[0]} anew")
    if out is None and found != SHA256:
        raise WeightsError(
            f"{path}: is not the file that the authors published: it has {len(data):,} bytes and sha256 "
            f"{found[:8]}..., expected {SIZE:,} and {SHA256[:8]}...; fetch {ADDRESSES[0]} anew, or give "
            "--out FILE.safetensors to keep other weights of its layout"
        )
    network = network_of(_tensors(data, path), path)
    target = place() if out is None else Path(out)
    goal = Objective("rebalanced", ab_bins(), torch.ones(network.outputs))  # no weights file has its class weights
    try:
        settings = AS_RELEASED | (ORIGIN if found == SHA256 else {})
        save_weights(target, network, goal, **settings, source={"file": Path(path).name, "sha256": found})
    except OSError as error:
        advice = "; REPRO_CACHE names another folder" if out is None else ""
        raise WeightsError(f"{target} cannot be written: {error.strerror or error}{advice}") from None
    return target


def network_of(tensors, path="the weights"):
    """The network whose weights these are: {name in the release: tensor} -> `ColorizationNet`, in evaluation mode.

    Raises WeightsError, which calls them by `path`, unless they are all there, of the right shapes, finite, and
    decode to our bins in our order.
    """
    bins, layers, weights = ab_bins(), mapping(), {}
    for name, value in tensors.items():
        layer, _, kind = str(name).rpartition(".")
        if layer in layers and _is_plain(value):
            weights[f"{layers[layer]}.{kind}"] = value if kind == "num_batches_tracked" else value.float()
    with torch.device("meta"):
        network = ColorizationNet(outputs=len(bins))
    for name, wanted in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            weights.setdefault(name, torch.tensor(0))  # older files have none
        if name not in weights or weights[name].shape != wanted.shape:
            raise WeightsError(f"{path}: is not of the release's layout: {name} is missing or of another shape")
        if not bool(weights[name].isfinite().all()) or name.endswith("running_var") and bool((weights[name] < 0).any()):
            raise WeightsError(f"{path}: {name} holds values that no network can compute with")
    if extra := sorted(set(map(str, tensors)) - {COLORS} - _names(layers, weights)):
        raise WeightsError(f"{path}: is not of the release's layout: it has {extra[0][:60]!r} besides")
    colors = tensors.get(COLORS)
    if colors is None or not _are_bins(colors, bins):
        raise WeightsError(f"{path}: its {COLORS} does not hold the {len(bins)} ab bins in their order")
    network.load_state_dict(weights, assign=True)
    network.floor = 0.0
    return network.eval()


def has_seen(name):
    """Whether the authors trained on a photograph, or chose by it, as its name in ImageNet says.

    They trained on all of ImageNet's training photographs, n02979186_1234.JPEG, and validated on the first 10,000
    of its validation photographs, ILSVRC2012_val_00001234.JPEG.  Other names say nothing: False.
    """
    file = PurePosixPath(name).name
    validation = re.match(r"ILSVRC2012_val_(\d{8})", file)
    return bool(re.match(r"n\d{8}_\d+", file)) or bool(validation and int(validation[1]) <= 10_000)


def mapping():
    """{layer of the release: the same layer of `ColorizationNet`}."""
    names = {}
    for block, (channels, *_) in BLOCKS.items():
        count = len(channels)
        names |= {f"model{block}.{2 * index}": f"layers.conv{block}_{index + 1}.0" for index in range(count)}
        names[f"model{block}.{2 * count}"] = f"layers.conv{block}_{count}.2"
    names |= {f"model8.{2 * index}": f"layers.conv8_{index + 1}.0" for index in range(len(DECODER))}
    return names | {f"model8.{2 * len(DECODER)}": "layers.out.0"}


def _names(layers, weights):
    """What the release calls these weights."""
    theirs = {ours: name for name, ours in layers.items()}
    return {f"{theirs[layer]}.{kind}" for layer, _, kind in (name.rpartition(".") for name in weights)}


def _is_plain(value):
    """Whether it is a tensor of real numbers that are there: not sparse, quantised, complex or without memory."""
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not (value.is_complex() or value.is_quantized)
    )


def _are_bins(colors, bins):
    if not _is_plain(colors):
        return False
    colors = colors.float()
    return colors.shape == (2, len(bins), 1, 1) and torch.allclose(colors[:, :, 0, 0].T * COLOR_SCALE, bins, atol=0.1)


def _tensors(data, path):
    """What a .pth file holds; nothing but tensors is unpickled."""
    try:
        tensors = torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and torch have errors of their own
        raise WeightsError(f"{path}: is no file of PyTorch weights, or damaged ({type(error).__name__})") from None
    if not isinstance(tensors, dict):
        raise WeightsError(f"{path}: holds a {type(tensors).__name__}, expected weights by name")
    return tensors

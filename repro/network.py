"""The colorization network (paper, figure 2 and table 4; authors' release): eight blocks, lightness in, ab out.

3x3 convolutions with bias and ReLU, batch normalisation after the last ReLU of blocks 1-7, no pooling: resolution is
lost by stride and regained by one transposed convolution.
"""

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from repro.examples import centred

# block: its convolutions' output channels at width 1, the last one's stride, and their dilation
BLOCKS = {
    1: ((64, 64), 2, 1),
    2: ((128, 128), 2, 1),
    3: ((256, 256, 256), 2, 1),
    4: ((512, 512, 512), 1, 1),
    5: ((512, 512, 512), 1, 2),
    6: ((512, 512, 512), 1, 2),
    7: ((512, 512, 512), 1, 1),
}
DECODER = (256, 256, 256)  # block 8: a 4x4 transposed convolution of stride 2, then 3x3 convolutions
MULTIPLE = 8  # height and width must be multiples of this
DEAD = 0.01  # of its layer's median variance: a channel with less hardly ever wakes; `ColorizationNet.floor`


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that a rare photograph cannot blow up.

    After a ReLU some channels become 0 everywhere, and their running variance falls, to 1e-45 in the end.  A photograph
    that excites such a channel after all would be divided by nearly 0.  So in evaluation no variance counts as less
    than `floor` times the layer's median; training is untouched.  With floor 0 it is torch's own, bit for bit.

    It has a scale and a shift for every channel, which Caffe's layer in the authors' release has not.
    """

    floor = DEAD

    def forward(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Batch normalisation, with no channel divided by a variance of next to nothing."""
        if self.training:
            return super().forward(features)
        variance = self.running_var.clamp(min=self.floor * self.running_var.median())
        return nn.functional.batch_norm(features, self.running_mean, variance, self.weight, self.bias, eps=self.eps)


class ColorizationNet(nn.Module):
    """Lightness, 0..100, to logits of the ab bins, or scaled ab, at every 4th pixel.

    width: multiplies every channel count but the outputs'; 1 is the paper's network (32.2 M parameters).
    outputs: 313 for classification, 2 for regression.
    Raises ValueError if H or W is not a multiple of 8.

    Layers are children of `layers` under the paper's names: conv1_1 ... conv8_3, then `out`; `taps` hands out
    their activations.
    """

    kind = "paper"
    normalized = True
    depths = {f"conv{block}": f"conv{block}_{len(channels)}" for block, (channels, *_) in BLOCKS.items()} | {
        "conv8": "conv8_3"
    }  # block: its last layer

    def __init__(self, width: float = 1.0, outputs: int = 313):
        super().__init__()
        if not width > 0:
            raise ValueError(f"width must be positive, got {width}")
        self.width, self.outputs = width, outputs
        scaled = lambda channels: max(1, round(channels * width))
        self.layers = nn.ModuleDict()
        previous = 1
        for block, (channels, stride, dilation) in BLOCKS.items():
            for position, count in enumerate(channels, 1):
                last = position == len(channels)
                convolution = nn.Conv2d(  # padded by the dilation, so that only a stride changes the size
                    previous, scaled(count), 3, stride if last else 1, padding=dilation, dilation=dilation
                )
                norm = [BatchNorm(scaled(count))] if last and self.normalized else []
                self.layers[f"conv{block}_{position}"] = nn.Sequential(convolution, nn.ReLU(inplace=True), *norm)
                previous = scaled(count)
        for position, count in enumerate(DECODER, 1):
            if position == 1:
                convolution = nn.ConvTranspose2d(previous, scaled(count), 4, 2, padding=1)  # exactly twice as large
            else:
                convolution = nn.Conv2d(previous, scaled(count), 3, padding=1)
            self.layers[f"conv8_{position}"] = nn.Sequential(convolution, nn.ReLU(inplace=True))
            previous = scaled(count)
        self.layers["out"] = nn.Sequential(nn.Conv2d(previous, outputs, 1))

    @property
    def floor(self):
        """The least variance that batch normalisation counts, as a share of its layer's median.

        DEAD; or 0, none, for the authors' weights.  A weights file says which.
        """
        return next((norm.floor for layer in self.layers.values() if (norm := normalization(layer))), DEAD)

    @floor.setter
    def floor(self, share):
        for layer in self.layers.values():
            if norm := normalization(layer):
                norm.floor = share

    def forward(self, lightness: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n {self.outputs} h//4 w//4"]:
        """The output for the bins, or scaled ab."""
        for _, features in self.activations(lightness):  # noqa: B007, one layer at a time in memory
            pass
        return features

    def rates(self):
        """[(parameters, factor of the learning rate)]."""
        return [(list(self.parameters()), 1.0)]

    def taps(
        self, lightness: Float[Tensor, "n 1 h w"], names: Iterable[str] | None = None
    ) -> dict[str, Float[Tensor, "n _ _ _"]]:
        """Activations by layer, after ReLU and, where there is one, batch normalisation.

        names: which layers, all by default. Raises KeyError for a name that is no layer.
        """
        names = list(self.layers) if names is None else list(names)
        if unknown := set(names) - set(self.layers):
            raise KeyError(f"no layer {sorted(unknown)}; the layers are {list(self.layers)}")
        return {name: features for name, features in self.activations(lightness) if name in names}

    def activations(self, lightness: Float[Tensor, "n 1 h w"]) -> Iterator[tuple[str, Float[Tensor, "n _ _ _"]]]:
        """(name, activation) of each layer, from input to output."""
        check_lightness(lightness)
        features = centred(lightness)
        for name, layer in self.layers.items():
            features = layer(features)
            yield name, features


class UnnormalizedNet(ColorizationNet):
    """The same network without batch normalisation: what it learns depends on where it starts."""

    kind = "unnormalized"
    normalized = False


def check_lightness(lightness: Tensor) -> None:
    """Raise ValueError unless it is (N, 1, H, W) with sides that the network can halve three times."""
    if lightness.ndim != 4 or lightness.shape[1] != 1 or any(side % MULTIPLE for side in lightness.shape[2:]):
        raise ValueError(
            f"expected lightness (N, 1, H, W) with H and W multiples of {MULTIPLE}, got {tuple(lightness.shape)}"
        )


def convolutions(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """(name, convolution) of every layer from input to output."""
    return [(name, layer[0]) for name, layer in network.layers.items()]


def normalization(layer: nn.Module) -> nn.BatchNorm2d | None:
    """The batch normalisation of a layer of the network, or None where it has none."""
    return next((part for part in layer if isinstance(part, nn.BatchNorm2d)), None)


def receptive_fields(network: nn.Module) -> dict[str, tuple[int, int]]:
    """{name: (receptive field, stride)} in input pixels, one side.

    They follow from the layers' own kernels, strides and dilations.
    """
    field, stride, fields = 1, 1, {}
    for name, convolution in convolutions(network):
        if isinstance(convolution, nn.ConvTranspose2d):
            stride //= convolution.stride[0]
            # an output of the 4x4 kernel with stride 2 sees 2 x 2 inputs, so the field grows by one step of the input
            reach = 1
            field += reach * stride * convolution.stride[0]
        else:
            field += (convolution.kernel_size[0] - 1) * convolution.dilation[0] * stride
            stride *= convolution.stride[0]
        fields[name] = (field, stride)
    return fields


def multiply_adds(network: nn.Module, height: int = 256, width: int = 256) -> dict[str, int]:
    """{name: multiply-adds of one forward pass of one photograph}; twice that is the FLOP count."""
    counts, hooks = {}, []

    def count(name):
        def hook(layer, inputs, output):
            taps = layer.kernel_size[0] * layer.kernel_size[1] * layer.in_channels
            if isinstance(layer, nn.ConvTranspose2d):
                taps //= layer.stride[0] * layer.stride[1]  # an output is reached by a part of the kernel only
            counts[name] = taps * output.shape[1:].numel()

        return hook

    with torch.device("meta"):  # shapes alone, without memory or arithmetic
        shadow = ColorizationNet(network.width, network.outputs)
        for name, convolution in convolutions(shadow):
            hooks.append(convolution.register_forward_hook(count(name)))
        shadow(torch.empty(1, 1, height, width))
    return counts

"""k-means data-dependent initialisation (Kraehenbuehl, Doersch, Donahue, Darrell, ICLR 2016, arXiv 1511.06856).

From input to output, each layer's weights are (1) the k-means centroids of whitened patches of its own input, then (2)
scaled and shifted channel by channel, so that over the sample every channel has mean `beta` and variance 1 before its
ReLU. Optionally (3) whole layers are rescaled against each other, so that the ratio of gradient to weight is the same
in every layer and all of them learn at one pace; what the network computes stays the same.

The program that the authors used differs in details. It scales whitened patches to unit length before k-means, its beta
is .1 by default, and it gives transposed convolutions plain Gaussian weights. Step 3 is a switch there, which was off
when the authors' AlexNet was started; how the colouriser was started is not known.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from repro.examples import centred
from repro.network import convolutions, normalization

PATCHES = 10_000  # a layer


@torch.no_grad()
def kmeans_initialize(
    network: nn.Module, lightness: Float32[Tensor, "n 1 h w"], seed: int = 0, beta: float = 0.0, rescale: bool = True
) -> nn.Module:
    """Initialise the network in place from a sample of photographs.

    network: a ColorizationNet.  lightness: 0..100, of some 16 photographs or more.
    beta: the mean of every channel before its ReLU.  rescale: do the optional step 3 as well.  Deterministic
    given the seed.
    Raises ValueError if the sample has no variation, as a blank page, or too few pixels for the network's
    width.
    """
    if float(lightness.std()) < 1e-3:
        raise ValueError("the sample has no variation in lightness; k-means needs photographs")
    generator = torch.Generator().manual_seed(seed)
    training = network.training
    network.train()  # batch normalisation then takes the sample's own statistics, as the first step of training will
    features = centred(lightness)
    # from input to output, as a layer's patches are what the layers before it make with their new weights
    for layer in network.layers.values():
        convolution = layer[0]
        set_centroids(convolution, features, generator)
        normalize_channels(convolution, features, beta)
        if norm := normalization(layer):
            norm.reset_parameters()
        features = layer(features)
    if rescale:
        equalize_gradient_ratios(network, lightness, generator)
    refresh_batch_statistics(network, lightness)
    return network.train(training)


def set_centroids(convolution: nn.Module, features: Float[Tensor, "n c h w"], generator: torch.Generator) -> None:
    """Step 1: weights from k-means on whitened patches of the layer's input."""
    transposed = isinstance(convolution, nn.ConvTranspose2d)
    patches = sample_patches(convolution, features, generator)  # (P, C * k * k)
    patches = patches - patches.mean(0)
    variance, directions = principal_directions(patches.T @ patches / len(patches))
    keep = variance > 1e-2 * variance[-1]  # of the largest; whitening the others would only amplify noise
    whitening = directions[:, keep] / variance[keep].sqrt()  # (C * k * k, kept)
    seed = int(torch.randint(2**31, (), generator=generator))
    clusters = convolution.out_channels
    if len(patches) < clusters:
        raise ValueError(f"{len(patches)} patches for {clusters} channels: the sample needs more or larger photographs")
    # a start need not be the best clustering, so one quick run is enough
    kmeans = KMeans(clusters, init="random", n_init=1, max_iter=20, random_state=seed)
    with threadpool_limits(2, "openmp"):  # more threads add up in whatever order they finish: other digits every time
        kmeans.fit((patches @ whitening).numpy())
    # a filter meets patches as they are, not whitened: centroid . (patch @ W) = patch . (centroid @ W.T)
    centroids = torch.from_numpy(kmeans.cluster_centers_).to(patches) @ whitening.T
    if transposed:  # (out, C, 2, 2): each of the four output phases sees a 2 x 2 part of the 4 x 4 kernel
        # flipped, as a transposed convolution runs its kernel backwards; repeated, so that all phases see the same
        small = centroids.view(clusters, convolution.in_channels, 2, 2).transpose(0, 1)
        convolution.weight.copy_(small.flip(2, 3).repeat_interleave(2, 2).repeat_interleave(2, 3))
    else:
        convolution.weight.copy_(centroids.view_as(convolution.weight))
    convolution.bias.zero_()


def principal_directions(
    covariance: Float32[Tensor, "d d"],
) -> tuple[Float32[Tensor, " d"], Float32[Tensor, "d d"]]:
    """Eigenvalues, rising, and eigenvectors of a covariance."""
    try:
        return torch.linalg.eigh(covariance)
    except torch.linalg.LinAlgError:  # happens in float32 where patches are fewer than their dimensions
        variance, directions = torch.linalg.eigh(covariance.double())
        return variance.float(), directions.float()


def sample_patches(
    convolution: nn.Module, features: Float[Tensor, "n c h w"], generator: torch.Generator, count: int = PATCHES
) -> Float32[Tensor, "patches values"]:
    """Some `count` random patches as the convolution sees them, each C channels of k x k values in a row.

    For the transposed convolution they are 2 x 2.
    """
    if isinstance(convolution, nn.ConvTranspose2d):
        kernel, dilation, stride, padding = 2, 1, 1, 0
    else:
        kernel, dilation = convolution.kernel_size[0], convolution.dilation[0]
        stride, padding = convolution.stride[0], convolution.padding[0]
    each = -(-count // len(features))  # rounded up
    patches = []
    for one in features:
        columns = F.unfold(one[None], kernel, dilation, padding, stride)[0]  # (C * k * k, positions)
        chosen = torch.randperm(columns.shape[1], generator=generator)[:each]
        patches.append(columns[:, chosen].T)
    return torch.cat(patches).float()


def normalize_channels(convolution: nn.Module, features: Float[Tensor, "n c h w"], beta: float = 0.0) -> None:
    """Step 2: scale and shift every output channel to mean beta and variance 1 over the sample."""
    output = convolution(features)
    mean, deviation = output.mean((0, 2, 3)), output.std((0, 2, 3)).clamp_min(1e-6)
    # a transposed convolution stores its output channels second
    shape = (1, -1, 1, 1) if isinstance(convolution, nn.ConvTranspose2d) else (-1, 1, 1, 1)
    convolution.weight.div_(deviation.view(shape))
    convolution.bias.sub_(mean).div_(deviation).add_(beta)


def gradient_ratios(
    network: nn.Module, lightness: Float[Tensor, "n 1 h w"], generator: torch.Generator
) -> dict[str, float]:
    """{name: mean squared gradient over mean squared weight} for a random linear loss <output, noise>.

    This is how the paper measures at what pace each layer would learn.
    """
    network.zero_grad()
    with torch.enable_grad():
        output = network(lightness)
        (output * torch.randn(output.shape, generator=generator)).sum().backward()
    ratios = {
        name: float(layer.weight.grad.double().square().mean() / layer.weight.detach().double().square().mean())
        for name, layer in convolutions(network)
    }
    network.zero_grad()
    return ratios


def equalize_gradient_ratios(
    network: nn.Module, lightness: Float[Tensor, "n 1 h w"], generator: torch.Generator, rounds: int = 3
) -> None:
    """Step 3: scale whole layers until all have the same gradient ratio, leaving the network's function as it is.

    A layer multiplied by s has its gradient divided by s, so its ratio falls by s^4 (the paper's alpha / 2 = 1 / 4 of
    the log squared ratio); what is multiplied into one layer is divided out in the next. Batch normalisation undoes any
    scale before it, so only the layers after the last one (all of them, where there is none) must have scales whose
    product is 1: their ratios' geometric mean is the target.
    """
    names = [name for name, _ in convolutions(network)]
    normalized = [len(layer) == 3 for layer in network.layers.values()]  # the third part is batch normalisation
    # reversed, the first True is the last normalised layer: the tail is what comes after it
    tail = names[len(normalized) - normalized[::-1].index(True) :] if any(normalized) else names
    for _ in range(rounds):  # again, as the scale of one layer moves the gradients of all others
        ratios = gradient_ratios(network, lightness, generator)
        logs = {name: torch.tensor(ratio, dtype=torch.float64).log() for name, ratio in ratios.items()}
        target = torch.stack([logs[name] for name in tail]).mean()
        carried = 1.0  # scale of the activations that reach the layer, relative to before
        for name, convolution in convolutions(network):
            scale = float(((logs[name] - target) / 4).exp())
            convolution.weight.mul_(scale)
            carried *= scale
            convolution.bias.mul_(carried)  # it adds to activations that are now larger by this
            if normalization(network.layers[name]):
                carried = 1.0


def random_initialize(network: nn.Module, kind: str) -> None:
    """Random weights, zero biases: "he" or "gaussian".

    "he" is normal, scaled by each layer's inputs; "gaussian" a plain normal distribution of deviation .01.
    """
    for _, convolution in convolutions(network):
        if kind == "he":
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        else:
            nn.init.normal_(convolution.weight, std=0.01)
        nn.init.zeros_(convolution.bias)


def refresh_batch_statistics(network: nn.Module, lightness: Float[Tensor, "n 1 h w"]) -> None:
    """Set the running statistics of batch normalisation to the sample's.

    Then evaluation mode works before any training.
    """
    norms = [norm for layer in network.layers.values() if (norm := normalization(layer))]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average, so that one pass is enough
    network(lightness)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum

"""The network of a training: made, initialised, optimised; and what its input is made to look like."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from repro.colorizer.weights import load_weights
from repro.encoder import NETWORKS, load_encoder
from repro.examples import to_example
from repro.initialization import kmeans_initialize, random_initialize
from repro.kinds import expect
from repro.training.batches import Photos, sample_crops

SAMPLE = 48  # photographs that initialisation looks at


def build_network(settings, objective, photos: Photos | None, size=None, empty=False):
    """A network, initialised as the settings say: from a sample of the photographs, or at random.

    photos: None will do where the start looks at none.  size: that shards are read at.  empty: without weights that
    mean anything; they come from elsewhere.
    """
    torch.manual_seed(settings.seed)
    network = NETWORKS[settings.network](settings.width, objective.outputs)
    if empty:
        return network
    if settings.initialization.endswith(".safetensors"):
        take_weights(network, settings.initialization.replace("OBJECTIVE", objective.name), objective.bins)
    elif settings.initialization == "kmeans":
        crops = sample_crops(photos, SAMPLE, size, settings.crop, settings.seed + 1)
        kmeans_initialize(network, to_example(crops)[0], seed=settings.seed)
    elif settings.network == "encoder":
        load_encoder(network.encoder, settings.encoder)
    else:
        random_initialize(network, settings.initialization)
    return network


def grainy(lightness: Float[Tensor, "n 1 h w"], most: float) -> Float[Tensor, "n 1 h w"]:
    """Lightness with white noise, as of film or of a scan.

    Each photograph has a deviation from 0 to `most` L.
    """
    level = most * torch.rand(len(lightness), 1, 1, 1, device=lightness.device)
    return lightness + level * torch.randn_like(lightness)


def faded(lightness: Float[Tensor, "n 1 h w"], most: float) -> Float[Tensor, "n 1 h w"]:
    """Lightness as of prints that have faded.

    Black and white of each are moved together, each by up to the share `most` of the range.
    """
    black, loss = (100 * most * torch.rand(len(lightness), 1, 1, 1, device=lightness.device) for _ in range(2))
    return black + lightness * (1 - (black + loss) / 100)


def take_weights(network, path, bins: Float[Tensor, "q 2"]):
    """Copy weights that were trained before; an output layer of another objective starts anew.

    Raises WeightsError as `load_weights`, ValueError for another width.
    """
    trained, *_ = load_weights(path, bins)
    expect(
        trained.kind == network.kind, f"{path} is of network {trained.kind}, train.network must be so too", network.kind
    )
    expect(trained.width == network.width, f"{path} is of width {trained.width}, width must be so too", network.width)
    taken = trained.state_dict()
    if trained.outputs != network.outputs:
        last = "out." if network.kind == "encoder" else "layers.out."
        taken = {name: value for name, value in taken.items() if not name.startswith(last)}
    network.load_state_dict(taken, strict=False)


def running_average(network, decay):
    """A copy of the network whose weights are a running mean of its weights, or None for decay 0."""
    if not decay:
        return None
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def adam(network, settings):
    """The optimiser, with the rate still to be set: `factor` of each group times the schedule's."""
    betas = settings.beta1, settings.beta2
    groups = [{"params": parameters, "factor": factor} for parameters, factor in network.rates()]
    return torch.optim.Adam(groups, lr=0.0, betas=betas, weight_decay=settings.mean_loss_weight_decay, fused=True)

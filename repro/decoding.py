"""From a distribution over bins back to one colour: mode, mean and the annealed mean between them (paper, section 2.3).

H(Z) = E[f_T(Z)], f_T(z) = exp(log(z) / T) / sum_q exp(log(z_q) / T). T = 1 is the mean, T -> 0 the mode; T = .38 in the
paper. The network's logits are log(z) up to a constant, so f_T is a softmax of logits / T.

The authors' Caffe release multiplies the logits by 2.606 = 6 / ln 10, so T = .384, which the paper rounds to .38. Their
PyTorch release does not scale the logits: it decodes at T = 1, which is the plain mean.
"""

from numbers import Real

import torch
from jaxtyping import Float, Float32
from torch import Tensor

COLDEST = 1e-6  # a lower T changes no picture any more, and its logits would overflow


def annealed_mean(
    logits: Float[Tensor, "n q h w"], bins: Float[Tensor, "q 2"], temperature: float = 0.38
) -> Float32[Tensor, "n 2 h w"]:
    """Annealed mean of the predicted distribution, ab units.

    temperature: T > 0.  Raises ValueError for shapes that do not match or T <= 0.
    """
    _check(logits, bins)
    if not isinstance(temperature, Real) or not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature!r}; its limit 0 is `mode`")
    logits = logits.float() - logits.amax(1, keepdim=True)  # so that a tiny T overflows nothing
    probabilities = torch.softmax(logits / max(temperature, COLDEST), 1)
    return torch.einsum("nqhw,qc->nchw", probabilities, bins.to(probabilities))


def mean(logits: Float[Tensor, "n q h w"], bins: Float[Tensor, "q 2"]) -> Float32[Tensor, "n 2 h w"]:
    """Mean of the distribution, T = 1: smooth but grayish."""
    return annealed_mean(logits, bins, 1.0)


def mode(logits: Float[Tensor, "n q h w"], bins: Float[Tensor, "q 2"]) -> Float32[Tensor, "n 2 h w"]:
    """The most probable bin, the limit T -> 0: vivid but patchy."""
    _check(logits, bins)
    # softmax keeps the order, so the largest logit is the largest probability
    return bins.to(logits.device).float()[logits.argmax(1)].permute(0, 3, 1, 2)


def _check(logits, bins):
    if logits.ndim != 4 or bins.ndim != 2 or logits.shape[1] != len(bins):
        raise ValueError(
            f"expected logits (N, Q, H, W) and bins (Q, 2), got {tuple(logits.shape)} and {tuple(bins.shape)}"
        )

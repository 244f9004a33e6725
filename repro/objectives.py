"""What the network is trained to do: regression, classification, rebalanced classification (paper, sections 2
and 2.2).

  regression       L2(Y^, Y) = 1/2 sum ||Y - Y^||^2                              (equation 1)
  classification   L(Z^, Z) = - sum v(Z) sum_q Z_q log(Z^_q),  v = 1             (equation 2)
  rebalanced       the same with v(Z) = w[argmax_q Z], the weight of the colour's nearest bin    (equation 3)

All are averaged over the pixels of the batch; the release sums over the pixels of a photograph and averages
over the photographs, which only rescales the loss (see `repro.training.settings` for what that does to weight
decay).
"""

from dataclasses import dataclass

import torch

from repro.encoding import soft_encode

NAMES = ("regression", "classification", "rebalanced")
REGRESSION_SCALE = 20.0  # ab units per unit of output: about the spread of ab in photographs
COLOR_THRESHOLD = (
    5.0  # ab units; a photograph with no |a| or |b| above it counts as colourless, as in the release
)


def has_color(ab, threshold=COLOR_THRESHOLD):
    """Which photographs have any colour: ab (N, h, w, 2) -> (N,) bool."""
    return (ab.abs() > threshold).flatten(1).any(1)


def soft_cross_entropy(logits, indices, weights, pixel_weights=None):
    """Mean over pixels of  -v sum_k Z_k log softmax(logits)[q_k],  from sparse targets.

    logits: (N, Q, h, w) float.  indices: (N, h, w, K) int64 and weights: (N, h, w, K) from `soft_encode`.
    pixel_weights: v, (N, h, w), taken as constants; 1 if None.  Returns a scalar float32 tensor.

    Equal to the dense sum over all Q bins, without building the (N, Q, h, w) target.
    """
    logits = logits.permute(0, 2, 3, 1)  # (N, h, w, Q): contiguous when the network runs channels_last
    log_shares = logits.float().log_softmax(-1)
    loss = -(log_shares.gather(-1, indices) * weights).sum(-1)
    return loss.mean() if pixel_weights is None else (pixel_weights.detach() * loss).mean()


@dataclass(frozen=True)
class Objective:
    """One of the paper's three, with what it needs.

    name: regression, classification or rebalanced.  bins: (Q, 2).  class_weights: (Q,) for rebalanced, else
    None.
    neighbours, sigma: of the soft encoding.
    """

    name: str
    bins: torch.Tensor
    class_weights: torch.Tensor | None = None
    neighbours: int = 5
    sigma: float = 5.0

    def __post_init__(self):
        if self.name not in NAMES:
            raise ValueError(f"no objective {self.name!r}; there are {', '.join(NAMES)}")
        if (self.class_weights is not None) != (self.name == "rebalanced"):
            raise ValueError("class_weights are for the rebalanced objective, and it needs them")
        if self.class_weights is not None and len(self.class_weights) != len(self.bins):
            raise ValueError(f"{len(self.class_weights)} class_weights for {len(self.bins)} bins")

    @property
    def outputs(self):
        """Channels the network must have: 2 or Q."""
        return 2 if self.name == "regression" else len(self.bins)

    def loss(self, output, ab):
        """Mean loss over the pixels of the batch; photographs without colour add nothing to its gradient.

        output: (N, outputs, h, w) of the network.  ab: (N, h, w, 2) true colours, ab units.  Returns a
        scalar.
        """
        seen = has_color(ab).float()[:, None, None].expand(ab.shape[:-1])  # (N, h, w)
        if self.name == "regression":
            error = output.permute(0, 2, 3, 1).float() - ab / REGRESSION_SCALE
            return (seen * 0.5 * error.square().sum(-1)).mean()
        indices, weights = soft_encode(ab, self.bins, self.neighbours, self.sigma)
        if self.class_weights is not None:
            seen = seen * self.class_weights.to(seen)[indices[..., 0]]
        return soft_cross_entropy(output, indices, weights, seen)

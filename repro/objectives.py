"""What the network is trained to do: regression, classification, rebalanced classification (paper, sections 2 and 2.2).

  regression       L2(Y^, Y) = 1/2 sum ||Y - Y^||^2                              (equation 1)
  classification   L(Z^, Z) = - sum v(Z) sum_q Z_q log(Z^_q),  v = 1             (equation 2)
  rebalanced       the same with v(Z) = w[argmax_q Z], the weight of the colour's nearest bin    (equation 3)

All are averaged over the pixels of the batch; the release sums over the pixels of a photograph and averages over the
photographs, which only rescales the loss (see `repro.training.settings` for what that does to weight decay).
Regression's outputs are ab over 20, so its loss is equation 1 divided by 400 as well; the weight decay is not divided
with it, and so counts 400 times as much against the loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from repro.bins import search_table
from repro.encoding import soft_encode, soft_encode_srgb
from repro.examples import has_color

NAMES = ("regression", "classification", "rebalanced")
REGRESSION_SCALE = 20.0  # ab units per unit of output: about the spread of ab in photographs


def gives_ab(name: str) -> bool:
    """Whether the network of this objective answers with ab itself, and not with logits of the bins."""
    return name == "regression"


def soft_cross_entropy(
    logits: Float[Tensor, "n q h w"],
    indices: Int64[Tensor, "n h w k"],
    weights: Float[Tensor, "n h w k"],
    pixel_weights: Float[Tensor, "n h w"] | None = None,
    overwrite: bool = False,
) -> Float[Tensor, ""]:
    """Mean over pixels of  -v sum_k Z_k log softmax(logits)[q_k],  from sparse targets.

    indices, weights: from `soft_encode`.  pixel_weights: v, taken as constants; 1 if None.
    overwrite: write the gradient over the logits, which must not be used afterwards: no tensor of their size
    is made at all.

    Equal to the dense sum over all Q bins, without building the (N, Q, h, w) target.
    """
    if pixel_weights is None:
        pixel_weights = weights.new_ones(weights.shape[:-1])
    return _SoftCrossEntropy.apply(logits, indices, weights, pixel_weights.detach(), overwrite)


class _SoftCrossEntropy(torch.autograd.Function):
    """Loss log sum exp(z) - sum_k Z_k z[q_k], as the weights Z sum to 1; its gradient is softmax(z) - Z.

    Both go through the logits a few photographs at a time, in float32, so that what they need besides stays
    small; only log sum exp, one number a pixel, is kept for the way back.
    """

    @staticmethod
    def forward(ctx, logits, indices, weights, pixel_weights, overwrite):
        normalizers, sums = [], []
        for part in _parts(logits):
            z = logits[part].permute(0, 2, 3, 1).float()  # (n, h, w, Q); float32 also where the network is in bfloat16
            normalizers.append(z.logsumexp(-1))
            loss = normalizers[-1] - (z.gather(-1, indices[part]) * weights[part]).sum(-1)
            sums.append((pixel_weights[part] * loss).sum())
        ctx.save_for_backward(logits, indices, weights, pixel_weights, torch.cat(normalizers))
        ctx.overwrite = overwrite
        # by the pixels and not by the weights' sum: equation 3 has no such division, as their mean over the prior is 1
        return torch.stack(sums).sum() / pixel_weights.numel()

    @staticmethod
    @torch.autograd.function.once_differentiable  # it works in place, which a second derivative could not follow
    def backward(ctx, upstream):
        logits, indices, weights, pixel_weights, normalizers = ctx.saved_tensors
        gradient = logits.detach() if ctx.overwrite else torch.empty_like(logits)
        scale = pixel_weights[..., None] * (upstream / pixel_weights.numel())  # (N, h, w, 1)
        for part in _parts(logits):
            z = logits[part].permute(0, 2, 3, 1).float() - normalizers[part, ..., None]
            # in place: the softmax, less the target at its few bins, times the pixel's weight
            z = z.exp_().scatter_add_(-1, indices[part], -weights[part]).mul_(scale[part])
            gradient[part] = z.permute(0, 3, 1, 2)  # may lie over these logits, which have been read
        return gradient, None, None, None, None


PART = {"cpu": 1 << 19}  # logits that the loss works on at once: what a core's cache holds; on a GPU many more


def _parts(logits):
    """Slices of a few photographs."""
    each = max(1, PART.get(logits.device.type, 1 << 26) // max(1, logits[0].numel()))
    return [slice(first, first + each) for first in range(0, len(logits), each)]


@dataclass(frozen=True)
class Objective:
    """One of the paper's three objectives, with all that its loss needs.

    name: regression, classification or rebalanced.  class_weights: for rebalanced, else None.
    neighbours, sigma: of the soft encoding.  table: see `on`.
    """

    name: str
    bins: Float[Tensor, "q 2"]
    class_weights: Float[Tensor, "..."] | None = None
    neighbours: int = 5
    sigma: float = 5.0
    table: tuple | None = None

    def __post_init__(self):
        if self.name not in NAMES:
            raise ValueError(f"no objective {self.name!r}; there are {', '.join(NAMES)}")
        if (self.class_weights is not None) != (self.name == "rebalanced"):
            raise ValueError("class_weights are for the rebalanced objective, and it needs them")
        if self.class_weights is not None and len(self.class_weights) != len(self.bins):
            raise ValueError(
                f"expected a weight for each bin, got {len(self.class_weights)} class_weights for {len(self.bins)} bins"
            )

    @property
    def outputs(self) -> int:
        """Channels the network must have: 2 or Q."""
        return 2 if gives_ab(self.name) else len(self.bins)

    def on(self, device):
        """The same objective, with all that a step needs on the device.

        It is for colours of sRGB alone, as every photograph's are.  So it need not check their values, and a GPU's host
        never waits for the answer.
        """
        weights = None if self.class_weights is None else self.class_weights.float().to(device)
        table = search_table(self.bins, self.neighbours, device)
        return replace(self, class_weights=weights, table=table)

    def loss(self, output: Float[Tensor, "n outputs h w"], ab: Float[Tensor, "n h w 2"]) -> Float[Tensor, ""]:
        """Mean loss over the pixels of the batch; photographs without colour add nothing to its gradient.

        output: of the network.  ab: true colours, ab units.
        """
        return self.loss_to(output, self.targets(ab))

    def targets(self, ab: Float[Tensor, "n h w 2"]) -> tuple[Tensor, ...]:
        """What the output is compared with: the pixels' weights v, and their colours.

        v is 0 in photographs without colour.  The colours are ab in units of the output, or soft-encoded indices
        and weights.
        """
        # a gray photograph would teach that its things are gray
        seen = has_color(ab).float()[:, None, None].expand(ab.shape[:-1])
        if gives_ab(self.name):
            return seen, ab / REGRESSION_SCALE
        if self.table is None:
            indices, weights = soft_encode(ab, self.bins, self.neighbours, self.sigma)
        else:
            indices, weights = soft_encode_srgb(ab, self.table, self.neighbours, self.sigma)
        if self.class_weights is not None:
            seen = seen * self.class_weights.to(seen)[indices[..., 0]]  # the nearest bin comes first: argmax_q Z_q
        return seen, indices, weights

    def loss_to(
        self, output: Float[Tensor, "n outputs h w"], targets: Sequence, overwrite: bool = False
    ) -> Float[Tensor, ""]:
        """The loss, given `targets`.  overwrite: as for `soft_cross_entropy`."""
        seen, *wanted = targets
        if gives_ab(self.name):
            error = output.permute(0, 2, 3, 1).float() - wanted[0]
            return (seen * 0.5 * error.square().sum(-1)).mean()
        return soft_cross_entropy(output, *wanted, seen, overwrite)

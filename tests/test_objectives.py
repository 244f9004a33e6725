"""The three objectives: by hand, against dense cross entropy, and what photographs without colour do (nothing)."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from repro import objectives
from repro.bins import ab_bins, nearest_bin
from repro.encoding import densify, soft_encode
from repro.examples import COLOR_THRESHOLD, has_color
from repro.objectives import NAMES, REGRESSION_SCALE, Objective, gives_ab, soft_cross_entropy


def example(bins, seed=0, shape=(2, 4, 3)):
    """Logits (N, 313, h, w) that want a gradient, and colourful ab (N, h, w, 2)."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape[0], 313, *shape[1:], generator=generator).requires_grad_()
    return logits, torch.rand(*shape, 2, generator=generator) * 120 - 60


def weights_of(bins):
    return torch.linspace(0.1, 6, len(bins))


# -- soft cross entropy
# ----------------------------------------------------------------------------------------------


def test_one_pixel_by_hand():
    """Logits (0, ln 3): predicted (1/4, 3/4).  Target (1/2, 1/2): 1/2 ln 4 + 1/2 ln 4/3 = .836988.

    The gradient is predicted - target = (-1/4, 1/4); with v = 3 both are three times that.
    """
    for v, factor in ((None, 1), (torch.full((1, 1, 1), 3.0), 3)):
        logits = torch.tensor([0.0, math.log(3)]).view(1, 2, 1, 1).requires_grad_()
        loss = soft_cross_entropy(logits, torch.tensor([[[[0, 1]]]]), torch.tensor([[[[0.5, 0.5]]]]), v)
        loss.backward()
        assert loss.item() == pytest.approx(0.836988 * factor, abs=1e-5)
        assert logits.grad.flatten().tolist() == pytest.approx([-0.25 * factor, 0.25 * factor], abs=1e-6)


def test_value_and_gradient_equal_those_of_dense_targets(bins):
    logits, ab = example(bins)
    indices, weights = soft_encode(ab, bins)
    v = torch.rand(ab.shape[:-1])
    dense = densify(indices, weights, 313).permute(0, 3, 1, 2)  # (N, 313, h, w)
    expected = (F.cross_entropy(logits, dense, reduction="none") * v).mean()
    (expected_gradient,) = torch.autograd.grad(expected, logits)
    loss = soft_cross_entropy(logits, indices, weights, v)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.allclose(gradient, expected_gradient, atol=1e-8, rtol=1e-4)


def test_the_floor_is_the_entropy_of_the_target(bins):
    """A perfect prediction still costs the entropy.

    On a bin it is - .648786 ln .648786 - 4 * .087803 ln .087803 = 1.135137.
    """
    indices, weights = soft_encode(torch.zeros(1, 1, 1, 2), bins)
    logits = densify(indices, weights, 313).clamp_min(1e-30).log().permute(0, 3, 1, 2)
    assert soft_cross_entropy(logits, indices, weights).item() == pytest.approx(1.135137, abs=1e-4)


def test_uniform_logits_cost_ln_313(bins):
    _, ab = example(bins)
    assert soft_cross_entropy(torch.zeros(2, 313, 4, 3), *soft_encode(ab, bins)).item() == pytest.approx(
        math.log(313), abs=1e-5
    )


def test_huge_logits_stay_finite(bins):
    logits, ab = example(bins)
    loss = soft_cross_entropy(logits * 1e4, *soft_encode(ab, bins))
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()


def test_pixel_weights_are_constants(bins):
    logits, ab = example(bins)
    v = torch.rand(2, 4, 3, requires_grad=True)
    soft_cross_entropy(logits, *soft_encode(ab, bins), v).backward()
    assert v.grad is None


class Large(TorchDispatchMode):
    """Operations that allocate a tensor of `least` elements or more; views are left out."""

    def __init__(self, least):
        super().__init__()
        self.least, self.operations = least, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        given = {part.untyped_storage().data_ptr() for part in args if isinstance(part, torch.Tensor)}
        result = function(*args, **(kwargs or {}))
        for part in result if isinstance(result, (tuple, list)) else (result,):
            if (
                isinstance(part, torch.Tensor)
                and part.numel() >= self.least
                and part.untyped_storage().data_ptr() not in given
            ):
                self.operations.append(str(function))
        return result


@pytest.mark.parametrize("overwrite, allowed", [(False, ["aten.empty_like.default"]), (True, [])])
def test_nothing_of_the_logits_size_is_made_but_their_gradient(bins, monkeypatch, overwrite, allowed):
    """Neither dense targets nor a log-softmax nor a float32 copy; overwriting spares the gradient's room, too."""
    monkeypatch.setitem(objectives.PART, "cpu", 313 * 16 * 16)  # one photograph at a time
    leaf, ab = example(bins, shape=(8, 16, 16))
    objective = Objective("rebalanced", bins, weights_of(bins)).on("cpu")
    targets, logits = objective.targets(ab), (leaf * 1).bfloat16()
    with Large(logits.numel() // 2) as large:
        loss = objective.loss_to(logits, targets, overwrite)
        torch.autograd.grad(loss, logits)
    assert large.operations == allowed
    with Large(logits.numel() // 2) as large:
        F.cross_entropy(leaf, densify(*soft_encode(ab, bins), 313).permute(0, 3, 1, 2))
    assert len(large.operations) > 1, "the dense way would be noticed"


@pytest.mark.parametrize("part", [1, 313 * 4 * 3 * 2, 1 << 30])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("overwrite", [False, True])
def test_parts_layout_and_overwriting_change_nothing(bins, monkeypatch, part, layout, overwrite):
    """Against PyTorch's own cross entropy on dense targets, with an upstream gradient of 1/4."""
    monkeypatch.setitem(objectives.PART, "cpu", part)
    leaf, ab = example(bins, shape=(5, 4, 3))
    indices, weights = soft_encode(ab, bins)
    v = torch.rand(ab.shape[:-1])
    dense = densify(indices, weights, 313).permute(0, 3, 1, 2)
    expected = (F.cross_entropy(leaf, dense, reduction="none") * v).mean() / 4
    (wanted,) = torch.autograd.grad(expected, leaf)
    logits = (leaf * 1).contiguous(memory_format=layout)
    loss = soft_cross_entropy(logits, indices, weights, v, overwrite) / 4
    (gradient,) = torch.autograd.grad(loss, leaf)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.allclose(gradient, wanted, atol=1e-8, rtol=1e-4)


def test_bfloat16_logits_are_worked_on_in_float32(bins):
    leaf, ab = example(bins, shape=(2, 8, 8))
    halved = leaf.detach().bfloat16().requires_grad_()
    exact = halved.detach().float().requires_grad_()
    objective = Objective("classification", bins)
    losses = [objective.loss(logits, ab) for logits in (halved, exact)]
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-6) and losses[0].dtype == torch.float32
    gradients = [torch.autograd.grad(loss, x)[0] for loss, x in zip(losses, (halved, exact), strict=True)]
    assert gradients[0].dtype == torch.bfloat16
    assert torch.allclose(gradients[0].float(), gradients[1], rtol=1e-2, atol=1e-9)


@pytest.mark.parametrize("name", ["regression", "classification", "rebalanced"])
def test_an_objective_on_a_device_says_the_same(bins, photos, name):
    from repro.examples import to_example

    objective = Objective(name, bins, weights_of(bins) if name == "rebalanced" else None)
    ab = to_example(photos)[1]
    output = torch.randn(24, objective.outputs, 8, 8, generator=torch.Generator().manual_seed(0))
    assert objective.on("cpu").loss(output, ab).item() == objective.loss(output, ab).item()


# -- the objectives --------------------------------------------------------------------------------------------------


def test_regression_by_hand(bins):
    """One pixel, ab (40, -20) = (2, -1) in units of 20; the network says (1, 1).

    The loss is 1/2 (1 + 4) = 2.5, the gradient (-1, 2).
    """
    output = torch.tensor([1.0, 1.0]).view(1, 2, 1, 1).requires_grad_()
    loss = Objective("regression", bins).loss(output, torch.tensor([[[[40.0, -20.0]]]]))
    loss.backward()
    assert REGRESSION_SCALE == 20 and loss.item() == pytest.approx(2.5)
    assert output.grad.flatten().tolist() == pytest.approx([-1, 2])


def test_the_loss_is_a_mean_over_all_pixels_of_the_batch(bins):
    logits, ab = example(bins)
    objective = Objective("classification", bins)
    each = [
        objective.loss(logits[n : n + 1, :, i : i + 1, j : j + 1], ab[n : n + 1, i : i + 1, j : j + 1])
        for n in range(2)
        for i in range(4)
        for j in range(3)
    ]
    pixels_with_color = [loss for loss in each if loss > 0]  # a single gray pixel would be a photograph without colour
    assert len(pixels_with_color) == len(each)
    assert objective.loss(logits, ab).item() == pytest.approx(torch.stack(each).mean().item(), rel=1e-5)


@given(st.integers(0, 10_000))
def test_rebalancing_multiplies_each_pixels_gradient_by_the_weight_of_its_nearest_bin(seed):
    bins = ab_bins()
    logits, ab = example(bins, seed, (1, 2, 2))
    plain, rebalanced = (
        torch.autograd.grad(objective.loss(logits, ab), logits)[0]
        for objective in (Objective("classification", bins), Objective("rebalanced", bins, weights_of(bins)))
    )
    ratio = rebalanced.norm(dim=1) / plain.norm(dim=1)  # (1, 2, 2)
    assert torch.allclose(ratio, weights_of(bins)[nearest_bin(ab, bins)], rtol=1e-4)
    assert torch.allclose(rebalanced, plain * ratio[:, None], atol=1e-7)


def test_equal_weights_rebalance_nothing(bins):
    logits, ab = example(bins)
    losses = [
        Objective("classification", bins),
        Objective("rebalanced", bins, torch.ones(313, dtype=torch.float64)),
    ]
    assert losses[0].loss(logits, ab).item() == pytest.approx(losses[1].loss(logits, ab).item())


def test_neighbours_and_sigma_reach_the_targets(bins):
    logits, ab = example(bins)
    found = {
        Objective("classification", bins, neighbours=n, sigma=s).loss(logits, ab).item()
        for n, s in ((5, 5.0), (10, 5.0), (5, 2.0))
    }
    assert len(found) == 3


# -- photographs without colour
# --------------------------------------------------------------------------------------


def test_has_color_looks_at_the_largest_value_of_a_photograph():
    ab = torch.zeros(4, 3, 3, 2)
    ab[1, 2, 2, 0], ab[2, 0, 1, 1], ab[3] = (
        5.01,
        -5.01,
        COLOR_THRESHOLD,
    )  # exactly the threshold is not above it
    assert has_color(ab).tolist() == [False, True, True, False]


@pytest.mark.parametrize("name", ["regression", "classification", "rebalanced"])
def test_photographs_without_color_give_no_gradient_at_all(bins, name):
    objective = Objective(name, bins, weights_of(bins) if name == "rebalanced" else None)
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(3, objective.outputs, 4, 4, generator=generator).requires_grad_()
    ab = torch.rand(3, 4, 4, 2, generator=generator) * 100 - 50
    ab[1] = ab[1] / 20  # within 2.5
    loss = objective.loss(output, ab)
    loss.backward()
    assert (output.grad[1] == 0).all() and (output.grad[[0, 2]] != 0).any()
    changed = output.detach().clone()
    changed[1] += 7
    assert objective.loss(changed, ab).item() == loss.item()


# -- what goes with what
# ---------------------------------------------------------------------------------------------


def test_regression_alone_answers_with_ab():
    assert [name for name in NAMES if gives_ab(name)] == ["regression"]


def test_outputs(bins):
    assert Objective("regression", bins).outputs == 2
    assert Objective("classification", bins).outputs == Objective("rebalanced", bins, weights_of(bins)).outputs == 313


def test_wrong_combinations_are_refused(bins):
    with pytest.raises(ValueError, match="no objective 'l2'; there are regression, classification, rebalanced"):
        Objective("l2", bins)
    for name, class_weights in (
        ("rebalanced", None),
        ("classification", weights_of(bins)),
        ("regression", weights_of(bins)),
    ):
        with pytest.raises(ValueError, match="class_weights are for the rebalanced"):
            Objective(name, bins, class_weights)
    with pytest.raises(ValueError, match="3 class_weights for 313 bins"):
        Objective("rebalanced", bins, torch.ones(3))

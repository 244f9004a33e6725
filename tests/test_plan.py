"""The plan of a training: FLOPs by hand, hours and cost, what limits it."""

import numpy as np
import pytest

from repro.encoder import EncoderColorizationNet
from repro.network import ColorizationNet
from repro.pages.figures import plan_bars, to_png
from repro.training import plan
from repro.training.plan import (
    H200_PEAK,
    PAPER_SAMPLES,
    Machine,
    decode_rate,
    estimate,
    layer_flops,
    matrix_rate,
)


def test_flops_by_hand():
    """Six FLOPs for each multiply-add of a training step.

    conv1_1 at 176 px has 9 x 1 x 64 multiply-adds at each of 176 x 176 places; the output layer 256 x 313 at 44 x 44.
    """
    flops = layer_flops()
    assert flops["conv1_1"] == 6 * 9 * 64 * 176**2
    assert flops["out"] == 6 * 256 * 313 * 44**2
    assert sum(flops.values()) / 3 == pytest.approx(84e9 * (176 / 256) ** 2, rel=0.01), "84 GFLOP at 256"


def test_hours_and_cost_by_hand():
    """100 FLOP/s of which half is reached, 10 FLOP a photograph: 5 a second, 18 million in 1,000 hours."""
    machine = Machine("m", 100, 0.5, 1, 100, 2.5, True)
    found = estimate(machine, 10)
    assert PAPER_SAMPLES == 18e6
    assert (found.rate, found.hours, found.cost, found.limit) == (5, 1000, 2500, "network")


def test_a_slow_input_is_the_limit():
    machine = Machine("m", H200_PEAK, 0.4, 8, 1000, 28, False)
    found = estimate(machine, 118e9)
    assert found.limit == "input" and found.rate == 1000 < found.network_rate
    assert found.hours == 5


def test_rates_are_measured():
    assert 1e8 < matrix_rate(size=64, seconds=0.01) < 1e15
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert decode_rate(photo, 64, 0.01) > decode_rate(photo, 512, 0.01) > 1


def test_the_picture_says_what_limits():
    plans = {name: estimate(Machine(name, 1e12, 0.5, 1, rate, 1, True), 1e9) for name, rate in (("a", 1e9), ("b", 9))}
    figure = plan_bars(plans)
    words = [text.get_text() for text in figure.axes[0].texts]
    assert "limited by its input" in words[1] and "limited" not in words[0]
    assert to_png(figure).startswith(b"\x89PNG")


def test_pytorch_counts_as_many_flops():
    """An oracle for `layer_flops`; and the other network is counted by the same."""
    paper = plan.training_flops(ColorizationNet(0.25), 64)
    assert paper == pytest.approx(sum(plan.layer_flops(0.25, 313, 64).values()), rel=1e-6)
    assert 0.2 * paper < plan.training_flops(EncoderColorizationNet(1), 64) < 3 * paper


def test_what_a_gpu_was_measured_to_do():
    hardware, rate, hours = plan.recorded()
    assert "NVIDIA" in hardware and hours == pytest.approx(plan.PAPER_SAMPLES / rate / 3600)

"""What an exercise is made of, and how its cases are drawn."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch


@dataclass(frozen=True)
class Exercise:
    """A function to write.

    solution: gives the right answer and has the exercise's name.  parameters and results: names, for messages.
    draw(rng) -> [(description, arguments)], the smallest first; a third entry is a remark, see Case.
    mistakes: {what the student is told: a function that makes that mistake, or several of them}.
    also_right: further solutions where the text leaves a choice.
    """

    solution: Callable
    parameters: tuple
    results: tuple
    draw: Callable
    mistakes: dict = field(default_factory=dict)
    also_right: tuple = ()


def single(values):
    """A float32 tensor of nested lists or an array."""
    return torch.tensor(np.asarray(values), dtype=torch.float32)


def double(values):
    """A float64 tensor of nested lists or an array."""
    return torch.tensor(np.asarray(values), dtype=torch.float64)


def shares(rng, *shape):
    """Positive numbers (float64 array) that sum to 1 over the last axis, the largest about ten times the smallest."""
    drawn = rng.uniform(0.1, 1, shape)
    return drawn / drawn.sum(-1, keepdims=True)


def apart(rng, count, distance, reach=40.0):
    """Points (count, 2) in a square of the given reach, no two of them nearer than distance.

    They are float64, rounded to halves.
    """
    points = np.zeros((0, 2))
    while len(points) < count:
        point = np.round(rng.uniform(-reach, reach, (1, 2)) * 2) / 2
        if not len(points) or np.linalg.norm(points - point, axis=1).min() >= distance:
            points = np.concatenate([points, point])
    return points

"""The state of a training run: weights, Adam's moments, step and history, in one safetensors file."""

from dataclasses import asdict
from hashlib import sha256

import numpy as np
import torch

from repro.weights import load_weights, save_weights


class CheckpointError(Exception):
    """A checkpoint that this run cannot continue from, and why."""


def photos_fingerprint(photos):
    """Short sha256 that tells one training set from another: of its shape and 16 photographs.  photos: (N, S,
    S, 3) uint8."""
    chosen = photos[np.linspace(0, len(photos) - 1, 16).astype(int)]
    return sha256(repr(photos.shape).encode() + np.ascontiguousarray(chosen).tobytes()).hexdigest()[:16]


def run_name(settings, photos, objective):
    """A folder name for a run: of the same settings, photographs and class weights, so that only the same run
    is continued."""
    weights = b"" if objective.class_weights is None else objective.class_weights.float().numpy().tobytes()
    return f"{settings.key()}-{sha256(photos_fingerprint(photos).encode() + weights).hexdigest()[:8]}"


def save_state(folder, network, optimizer, objective, step, history, header):
    """Write folder/last.safetensors, atomically."""
    moments = {}
    for index, state in optimizer.state_dict()["state"].items():
        for name in ("exp_avg", "exp_avg_sq", "step"):
            moments[f"adam.{index}.{name}"] = state[name]
    save_weights(
        folder / "last.safetensors", network, objective, moments, step=step, history=history, **header
    )


def load_state(folder, network, optimizer, settings, photos, bins):
    """Put folder/last.safetensors into network and optimizer; returns (step, history).

    Raises CheckpointError if it was written with other settings or photographs, naming what differs,
    WeightsError if it is broken.
    """
    path = folder / "last.safetensors"
    saved, header, moments = load_weights(path, bins)
    wanted = asdict(settings) | {"photos": photos_fingerprint(photos)}
    found = header.get("settings", {}) | {"photos": header.get("photos", wanted["photos"])}
    differences = [
        f"{name}: {found.get(name)!r} there, {wanted.get(name)!r} here"
        for name in wanted
        if found.get(name) != wanted[name]
    ]
    if differences:
        raise CheckpointError(
            f"{path} is of another run ({'; '.join(differences)}); remove it, or use another folder"
        )
    network.load_state_dict(saved.state_dict())
    state = {}
    for name, value in moments.items():
        _, index, part = name.split(".")
        state.setdefault(int(index), {})[part] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for (
        parameter,
        moment,
    ) in (
        optimizer.state.items()
    ):  # fused Adam pairs elements by their place in memory: channels_last as the weights
        for name in ("exp_avg", "exp_avg_sq"):
            moment[name] = torch.empty_like(parameter).copy_(moment[name])
    return header["step"], header["history"]

"""The state of a training run: weights, Adam's moments, step, history and random states, in safetensors files.

folder/step-00001000.safetensors ...: the last few, each written whole before it takes its name.
"""

import os
from contextlib import contextmanager, suppress
from dataclasses import asdict
from hashlib import sha256

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from repro.colorizer.weights import WeightsError, load_weights, save_weights
from repro.training.batches import Photos, is_array

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

KEEP = 3  # checkpoints of a run


class CheckpointError(Exception):
    """A checkpoint that this run cannot continue from, or could not write, and why."""


def photos_fingerprint(photos: Photos) -> str:
    """Short sha256 that tells one training set from another.

    It is taken of an array's shape and 16 of its photographs, or is the shards' own.
    """
    if not is_array(photos):
        return photos.fingerprint()
    chosen = photos[np.linspace(0, len(photos) - 1, 16).astype(int)]
    return sha256(repr(photos.shape).encode() + np.ascontiguousarray(chosen).tobytes()).hexdigest()[:16]


def run_name(settings, photos: Photos, objective) -> str:
    """A folder name for a run: of the same settings, photographs and class weights.

    So only the same run is continued.
    """
    weights = b"" if objective.class_weights is None else objective.class_weights.float().numpy().tobytes()
    return f"{settings.key()}-{sha256(photos_fingerprint(photos).encode() + weights).hexdigest()[:8]}"


def checkpoints(folder):
    """The checkpoints in a folder, a list of Path, the newest first."""
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def save_state(folder, network, optimizer, objective, step, header, keep=KEEP, average=None):
    """Write folder/step-<step>.safetensors, then remove all but the newest `keep`.

    header: the run's settings and history, anything JSON holds.  average: the running mean of the weights, if
    there is one.  Raises CheckpointError, with what is kept,
    where the disk is full or the weights are no numbers any more.
    """
    extra = {"random.torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        extra["random.cuda"] = torch.cuda.get_rng_state()
    for index, state in optimizer.state_dict()["state"].items():
        for name in ("exp_avg", "exp_avg_sq", "step"):
            extra[f"adam.{index}.{name}"] = state[name]
    for name, value in average.state_dict().items() if average else ():
        extra[f"average.{name}"] = value
    if not all(bool(value.isfinite().all()) for value in network.state_dict().values()):
        raise CheckpointError(f"a weight is not finite at step {step}; {kept(folder)}")
    with writing_to(folder):
        save_weights(folder / f"step-{step:08d}.safetensors", network, objective, extra, step=step, **header)
        for old in (*checkpoints(folder)[keep:], *folder.glob(".step-*.part")):  # the parts of killed writers
            old.unlink(missing_ok=True)


@contextmanager
def alone_in(folder):
    """One training at a time in a run's folder: two would take turns in each other's checkpoints.

    The system frees the folder when a process ends, however that happens.  Raises CheckpointError where another
    is at work.
    """
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system that knows no locks is used without
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CheckpointError(
                    f"another training is at work in {folder}; wait until it has ended, or name another folder"
                ) from None
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)  # closing is not enough: a loader's workers share the handle
        os.close(handle)


@contextmanager
def writing_to(folder):
    """What cannot be written, as on a full disk, becomes a CheckpointError that says what is kept."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"{folder} could not be written to ({error.strerror}); {kept(folder)}. Make room or mend the rights, "
            "and run the same command again: it continues from there."
        ) from None


def kept(folder):
    """In words: the newest checkpoint in a folder."""
    found = checkpoints(folder)
    return f"the last good checkpoint is {found[0]}" if found else "no checkpoint yet"


def load_state(
    folder, network, optimizer, settings, photos: Photos, bins: Float[Tensor, "q 2"], report=print, average=None
) -> dict:
    """Put the newest whole checkpoint into network, optimizer and average; returns its header, {} if there is none.

    A checkpoint that is broken or cut off is passed over for the one before, and reported.  Raises
    CheckpointError if it was written with other settings or photographs, naming what differs, or if none of
    several is whole.
    """
    found = checkpoints(folder)
    for path in found:
        try:
            saved, header, extra = load_weights(path, bins)
        except WeightsError as error:
            report(f"passed over: {error}")
            continue
        _check_same_run(path, header, settings, photos)
        _restore(network, optimizer, saved, extra, average)
        return header
    if found:
        raise CheckpointError(
            f"none of the {len(found)} checkpoints in {folder} is whole; remove the folder to start anew"
        )
    return {}


def _check_same_run(path, header, settings, photos):
    wanted = asdict(settings) | {"photos": photos_fingerprint(photos)}
    found = header.get("settings", {}) | {"photos": header.get("photos", wanted["photos"])}
    differences = [
        f"{name}: {found.get(name)!r} there, {wanted.get(name)!r} here"
        for name in wanted
        if found.get(name) != wanted[name]
    ]
    if differences:
        raise CheckpointError(f"{path} is of another run ({'; '.join(differences)}); remove it, or use another folder")


def _restore(network, optimizer, saved, extra, average=None):
    network.load_state_dict(saved.state_dict())
    torch.set_rng_state(extra.pop("random.torch"))
    if "random.cuda" in extra:
        cuda = extra.pop("random.cuda")
        if torch.cuda.is_available():
            torch.cuda.set_rng_state(cuda)
    if average:
        average.load_state_dict({name: extra.pop(f"average.{name}") for name in average.state_dict()})
    state = {}
    for name, value in extra.items():
        _, index, part = name.split(".")
        state.setdefault(int(index), {})[part] = value.clone()  # the file is only mapped into memory
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, moment in optimizer.state.items():
        for name in ("exp_avg", "exp_avg_sq"):  # fused Adam pairs elements by their place in memory
            moment[name] = torch.empty_like(parameter).copy_(moment[name])  # channels_last, as the weights

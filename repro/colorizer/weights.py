"""Weights on disk: safetensors with their settings in the header, so that nothing unpickles and nothing is
guessed."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from repro.bins import fingerprint
from repro.encoder import NETWORKS
from repro.files import write_atomically

PRETRAINED = Path(__file__).parent / "pretrained"  # the models that come along; MODEL_CARD.md beside them
MODELS = {  # what each of them is
    "regression": "the paper's L2 regression",
    "regression_finetuned": "the paper's L2 regression, fine-tuned from classification",
    "classification": "the paper's classification",
    "rebalanced": "the paper's full model, classification with rebalancing",
    "encoder": "the paper's full objective on an encoder that ImageNet's labels taught, beyond the paper",
}
DEFAULT = "encoder"  # the best on validation photographs by both AuC figures together


class WeightsError(Exception):
    """A weights file that cannot be used, and why."""


def models_in(folder):
    """{name: file} of the weights in a folder, those that `MODELS` names first and in its order."""
    found = {path.stem: path for path in sorted(Path(folder).glob("*.safetensors"))}
    return {name: found[name] for name in (*MODELS, *found) if name in found}


def save_weights(path, network, objective, extra_tensors=None, **settings):
    """Write a network for `load_weights`.

    objective: an Objective; its name and its bins' fingerprint go into the header, with width, outputs and
    `settings` (anything JSON holds).  extra_tensors: {name: tensor} kept beside the weights, as an
    optimiser's state.
    """
    header = {
        "objective": objective.name,
        "network": network.kind,
        "width": network.width,
        "outputs": network.outputs,
        "bins": fingerprint(objective.bins),
        **settings,
    }
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()} | (
        extra_tensors or {}
    )
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_atomically(path, save(tensors, {"repro": json.dumps(header)}))


def halve(source, target, **settings):
    """Copy a weights file with its convolution kernels in half precision; biases and batch statistics stay whole.

    settings: into the header, over those that stand there.  Raises WeightsError as `load_weights`, or if a
    weight is too large for half precision.
    """
    header, tensors = _read(source)
    trained = header.get("settings", {})
    names = {name: Path(trained[name]).name for name in ("initialization", "encoder") if name in trained}
    header["settings"] = trained | names  # without the folders of this machine
    kept = {}
    for name, value in tensors.items():
        if name.startswith("network."):
            kept[name] = value.half() if value.ndim == 4 else value
            if not bool(kept[name].isfinite().all()):
                raise WeightsError(f"{source}: {name} does not fit half precision")
    write_atomically(target, save(kept, {"repro": json.dumps(header | settings)}))


def read_header(path):
    """The settings in a weights file's header, a dict.  Raises WeightsError if it is no weights file of
    ours."""
    return _read(path, tensors=False)[0]


def load_weights(path, bins):
    """(network in evaluation mode, header dict, extra tensors) of a file by `save_weights`.

    bins: (Q, 2) that the caller will decode with.  Raises WeightsError, with what was expected, for a file
    that is missing, broken, of another project, or trained with other bins.
    """
    header, tensors = _read(path)
    if header["bins"] != fingerprint(bins):
        raise WeightsError(
            f"{path}: trained with ab bins {header['bins']}, but the bins here are {fingerprint(bins)}"
        )
    weights = {
        name.removeprefix("network."): value for name, value in tensors.items() if name.startswith("network.")
    }
    weights = {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}
    try:
        with torch.device("meta"):  # no memory and no random numbers for values that are replaced at once
            network = NETWORKS[header.get("network", "paper")](header["width"], header["outputs"])
        network.load_state_dict(weights, assign=True)
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{path}: its tensors do not fit a network of width {header['width']} "
            f"({header.get('network', 'paper')}): {str(error).splitlines()[0]}"
        ) from None
    extra = {name: value for name, value in tensors.items() if not name.startswith("network.")}
    return network.eval(), header, extra


def _read(path, tensors=True):
    if not Path(path).is_file():
        raise WeightsError(f"{path}: no such weights file")
    try:
        with safe_open(str(path), "pt") as file:
            header = json.loads((file.metadata() or {})["repro"])
            missing = {"objective", "width", "outputs", "bins"} - set(header)
            if missing:
                raise KeyError(*missing)
            return header, {name: file.get_tensor(name) for name in file.keys()} if tensors else {}
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{path}: not a weights file of this project, or broken ({type(error).__name__}: {error})"
        ) from None

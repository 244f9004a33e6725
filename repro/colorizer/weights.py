"""Weights on disk: safetensors with their settings in the header, so that nothing unpickles and nothing is guessed."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from repro.bins import fingerprint
from repro.encoder import NETWORKS
from repro.files import write_atomically
from repro.kinds import OBJECTIVES, Positive, SettingsError, Share, Switch, Text, checked, one_of, whole
from repro.network import DEAD

PRETRAINED = Path(__file__).parent / "pretrained"  # the models that come along; MODEL_CARD.md beside them
MODELS = {  # what each of them is
    "regression": "the paper's L2 regression",
    "regression_finetuned": "the paper's L2 regression, fine-tuned from its full model",
    "classification": "the paper's classification",
    "rebalanced": "the paper's full model, classification with rebalancing",
    "encoder": "the paper's full objective on an encoder that ImageNet's labels taught, beyond the paper",
}
DEFAULT = "encoder"  # the best on validation photographs by both AuC figures together

DECODINGS = ("annealed", "mean", "mode")
Side = Annotated[int, "a whole number from 8 to 1024 (pixels)", lambda side: 8 <= side <= 1024]
Width = Annotated[float, "a positive number, at most 8", lambda width: 0 < width <= 8]
Record = Annotated[dict, "settings by name", lambda record: True]
REQUIRED = {  # what every header says
    "objective": one_of(*OBJECTIVES),
    "width": Width,
    "outputs": whole(1),
    "bins": Text,
}
ALLOWED = {  # what it may say besides; other names are for people, and nothing here reads them
    "network": one_of(*NETWORKS),
    "floor": Share,
    "short_side": Side,
    "step": whole(0),
    "settings": Record,
    "colorize": Record,
}
OPTIONS = {  # how a network is asked for colours: the header's "colorize", and the options of `Colorizer.load`
    "short_side": Side,
    "decoding": one_of(*DECODINGS),
    "temperature": Positive,
    "guided": Switch,
    "mirrored": Switch,
    "as_scan": Switch,
    "as_release": Switch,
}
PRECISIONS = (torch.float32, torch.float16, torch.bfloat16)  # in which weights may be kept


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
        **({"floor": network.floor} if getattr(network, "floor", DEAD) != DEAD else {}),
        **settings,
    }
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()} | (extra_tensors or {})
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
    """The settings in a weights file's header, a dict.

    Raises WeightsError if it is no weights file of ours.
    """
    return _read(path, tensors=False)[0]


def photographs_seen(header):
    """How many photographs a training has shown to the network, by its header; 0 where that is not said."""
    return header.get("step", 0) * header.get("settings", {}).get("batch", 0)


def load_weights(path, bins: Float[Tensor, "q 2"]) -> tuple[nn.Module, dict, dict[str, Tensor]]:
    """The network in evaluation mode, the header and the extra tensors of a file by `save_weights`.

    bins: those that the caller will decode with.  The network's `floor` is the file's.  Raises WeightsError, with
    what was expected, for a file that is missing, broken, of another project, or trained with other bins, and for
    weights that no network can compute with.
    """
    header, tensors = _read(path)
    if header["bins"] != fingerprint(bins):
        raise WeightsError(
            f"{path}: trained with ab bins {_short(header['bins'])}, but the bins here are {fingerprint(bins)}"
        )
    wanted = 2 if header["objective"] == "regression" else len(bins)
    if header["outputs"] != wanted:
        raise WeightsError(f"{path}: {header['objective']} has {wanted} outputs, got {header['outputs']}")
    weights, kind = _network_weights(path, tensors), header.get("network", "paper")
    try:
        with torch.device("meta"):  # no memory and no random numbers for values that are replaced at once
            network = NETWORKS[kind](header["width"], header["outputs"])
        network.load_state_dict(weights, assign=True)
        if hasattr(network, "floor"):
            network.floor = header.get("floor", DEAD)
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{path}: its tensors do not fit a network of width {header['width']} ({kind}): {_short(error)}"
        ) from None
    extra = {name: value for name, value in tensors.items() if not name.startswith("network.")}
    return network.eval(), header, extra


def folded(network):
    """A network of the kind encoder, changed to answer alone: the same answers, faster.  Others stay as they are.

    Its batch normalisations, each right behind a convolution, become part of those weights, and channels lie last.
    """
    if network.kind != "encoder":
        return network  # they normalise after the ReLU, behind which nothing can be folded
    network.eval()
    for parts in network.modules():
        if isinstance(parts, nn.Sequential):
            for place, (one, then) in enumerate(pairwise(parts)):
                if isinstance(one, nn.Conv2d) and isinstance(then, nn.BatchNorm2d):
                    parts[place], parts[place + 1] = fuse_conv_bn_eval(one, then), nn.Identity()
    return network.to(memory_format=torch.channels_last)


def check_options(options, where="an option"):
    """Options of `Colorizer.load` by name, in their types.  Raises SettingsError, with `where` they stand."""
    for name in options:
        if name not in OPTIONS:
            raise SettingsError(f"{where}: there is no {_short(repr(name))}; there are {', '.join(OPTIONS)}")
    return {name: checked(f"{where}: {name}", value, OPTIONS[name]) for name, value in options.items()}


# ---- reading with care: a file may come from anybody ----


def _read(path, tensors=True):
    if not Path(path).is_file():
        known = "" if Path(path).suffix else f"; by name there are {', '.join(MODELS)} and release"
        raise WeightsError(f"{path}: no such weights file{known}")
    try:
        with safe_open(str(path), "pt") as file:
            header = _checked_header(json.loads((file.metadata() or {})["repro"]))
            return header, {name: file.get_tensor(name) for name in file.keys()} if tensors else {}
    except SettingsError as error:
        raise WeightsError(f"{path}: its header cannot be used: {error}") from None
    except (
        SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError, ArithmeticError, MemoryError
    ) as error:  # fmt: skip
        raise WeightsError(
            f"{path}: not a weights file of this project, or broken ({type(error).__name__}: {_short(error)})"
        ) from None


def _checked_header(header):
    """The header with its values in their types.

    Raises SettingsError for what cannot be, KeyError for what is missing.
    """
    if not isinstance(header, dict):
        raise TypeError(f"the header must be settings by name, got a {type(header).__name__}")
    if missing := REQUIRED.keys() - header.keys():
        raise KeyError(*sorted(missing))
    kinds = REQUIRED | ALLOWED
    header |= {name: checked(name, header[name], kinds[name]) for name in kinds if name in header}
    if "colorize" in header:
        header["colorize"] = check_options(header["colorize"], "colorize")
    trained = header.get("settings", {})
    for name in ("initialization", "encoder"):
        if name in trained:
            checked(f"settings: {name}", trained[name], Text)
    return header


def _network_weights(path, tensors):
    """{name: tensor} of the network's own, in float32.  Raises WeightsError for numbers that are none."""
    weights = {}
    for name, value in tensors.items():
        own = name.removeprefix("network.")
        if own == name:
            continue
        if value.dtype == torch.int64 and own.endswith("num_batches_tracked"):
            weights[own] = value
            continue
        if value.dtype not in PRECISIONS:
            known = ", ".join(str(precision).removeprefix("torch.") for precision in PRECISIONS)
            raise WeightsError(f"{path}: {_short(own)} must be of {known}, got {value.dtype}")
        if not bool(value.isfinite().all()):
            raise WeightsError(f"{path}: {_short(own)} holds values that are not finite; train or copy it anew")
        if own.endswith("running_var") and bool((value < 0).any()):
            raise WeightsError(f"{path}: {_short(own)} holds a negative variance; train or copy it anew")
        weights[own] = value.float()
    return weights


def _short(reason):
    """The first line of an error or a text, without control characters, 200 at most."""
    line = next(iter(str(reason).splitlines()), "")[:201]
    line = "".join(letter if letter.isprintable() else "?" for letter in line)
    return line if len(line) <= 200 else line[:197] + "..."

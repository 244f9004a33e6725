"""Classifiers that are asked what coloured photographs show: public ones by name, and a small one trained here."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int, Int64, UInt8
from PIL import Image
from torch import Tensor

from repro.encoder import EncoderError, Lite0Classifier, load_encoder

CLASSES = Path(__file__).with_name("imagenet_classes.txt")  # ImageNet's 1,000, a line each, in their usual order


class ClassifierError(Exception):
    """A classifier that cannot be had, in one line that says what to install or download."""


@dataclass(frozen=True)
class Classifier:
    """A model that names what a photograph shows.

    name: as in the settings.  outputs: what its outputs are called.  logits: of photographs, one for each output.
    """

    name: str
    outputs: tuple
    logits: Callable[[UInt8[np.ndarray, "n h w 3"]], Float32[Tensor, "n outputs"]]


def open_classifier(name, trained=None):
    """A classifier by its name.

    "hub:NAME"    a model of the Hugging Face Hub, or a folder of that layout, through transformers
    "timm:NAME"   a model of timm, if that is installed
    "lite0"       EfficientNet-Lite0 (Tan and Le 2019), from the Python package that carries its weights;
                  "lite0:PLACE" from a file or folder of them.  The encoder that comes along began with these weights
    "trained"     the one that `train_classifier` left in the folder `trained`
    Raises ClassifierError.
    """
    kind, _, rest = name.partition(":")
    if kind == "hub" and rest:
        return _from_hub(name, rest)
    if kind == "timm" and rest:
        return _from_timm(name, rest)
    if kind == "lite0" and (rest or name == kind):
        return _from_lite0(name, rest or "package")
    if name == "trained":
        if trained is None or not Path(trained).is_dir():
            raise ClassifierError("trained: there is no trained classifier yet; page 07 trains it")
        return _from_hub(name, str(trained))
    raise ClassifierError(f"{name!r} names no classifier; use lite0, hub:NAME_OR_FOLDER, timm:NAME or trained")


def _quiet_transformers():
    """The library, which takes seconds to import, without its progress bars and warnings."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


def _from_hub(name, place):
    transformers = _quiet_transformers()

    def load(**options):
        processor = transformers.AutoImageProcessor.from_pretrained(place, **options)
        model = transformers.AutoModelForImageClassification.from_pretrained(place, dtype="float32", **options)
        return processor, model.eval().to(memory_format=torch.channels_last)  # faster, on any device

    try:
        processor, model = _cached_or_fetched(load, place)
    except Exception as error:  # the hub's client raises its transport's errors, and those change
        reason = " ".join(str(error).split())[:160]
        raise ClassifierError(
            f"{name} could not be loaded: it is neither a folder with config.json, model.safetensors and "
            f"preprocessor_config.json nor a model of the Hub in the cache, and it could not be downloaded now "
            f"(where there is a network: hf download {place}). {reason}"
        ) from error

    @torch.inference_mode()
    def logits(photos):
        pixels = processor(images=list(photos), return_tensors="pt", input_data_format="channels_last")
        return model(pixels["pixel_values"].contiguous(memory_format=torch.channels_last)).logits.float()

    labels = model.config.id2label
    return Classifier(name, tuple(labels[index] for index in range(len(labels))), logits)


def _cached_or_fetched(load, place):
    """Without a network the hub's client tries for minutes; one short question first tells."""
    try:
        return load(local_files_only=True)
    except OSError:
        if Path(place).is_dir():
            raise
    import huggingface_hub

    huggingface_hub.model_info(place, timeout=10)
    return load()


def _from_timm(name, model_name):
    try:
        import timm
        from timm.data import ImageNetInfo, create_transform, resolve_model_data_config
    except ImportError as error:
        raise ClassifierError(
            f"{name} needs timm: .venv/bin/python -m pip install -c requirements.lock -e '.[timm]'"
        ) from error
    try:
        model = timm.create_model(model_name, pretrained=True).eval()
    except Exception as error:  # whatever the hub's client raises
        reason = " ".join(str(error).split())[:160]
        raise ClassifierError(
            f"{name} could not be loaded; timm.list_models(pretrained=True) has the names, and the first use "
            f"downloads the weights. {reason}"
        ) from error
    transform = create_transform(**resolve_model_data_config(model), is_training=False)

    @torch.inference_mode()
    def logits(photos):
        return model(torch.stack([transform(Image.fromarray(photo)) for photo in photos])).float()

    info = ImageNetInfo()
    return Classifier(name, tuple(info.label_descriptions()), logits)


def _from_lite0(name, source):
    model = Lite0Classifier()
    try:
        load_encoder(model, source, f"the classifier {name}")
    except EncoderError as error:
        raise ClassifierError(str(error)) from None
    model.eval().to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def logits(photos):
        """As the release measures itself: the middle 7/8 of the short side, enlarged or reduced to 224 pixels."""
        size = photos.shape[2], photos.shape[1]
        side = min(size) * 7 / 8
        left, top = ((length - side) / 2 for length in size)
        box = left, top, left + side, top + side
        squares = [Image.fromarray(photo).resize((224, 224), Image.Resampling.BICUBIC, box) for photo in photos]
        pixels = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float() / 255
        return torch.cat([model(part) for part in pixels.split(16)])  # no more in memory at once

    return Classifier(name, tuple(CLASSES.read_text(encoding="utf-8").splitlines()), logits)


# ---- a classifier of one's own ----


def train_classifier(
    photos: UInt8[np.ndarray, "n s s 3"], labels: Sequence[int] | Int[np.ndarray, " n"], classes: Sequence[str],
    folder: str | os.PathLike, steps=300, batch=64, rate=3e-3, seed=0, start=None,
) -> float:  # fmt: skip
    """A small residual network trained on photographs, written in the Hub's layout.

    labels: positions in `classes`.  folder: where it is written.  start: a folder with one that was trained before and
    learns on.  Returns the mean loss of the last tenth of the steps, nats.
    Raises ValueError for photographs without labels.
    """
    transformers = _quiet_transformers()
    labels = torch.as_tensor(np.asarray(labels, dtype=np.int64))
    if len(classes) < 2 or not len(labels) or labels.min() < 0:
        raise ValueError(f"a classifier needs labelled photographs of two classes or more, got {len(classes)}")
    torch.manual_seed(seed)
    config = transformers.ResNetConfig(
        embedding_size=32, hidden_sizes=[32, 64, 128], depths=[1, 1, 1], layer_type="basic",
        id2label=dict(enumerate(classes)), label2id={name: n for n, name in enumerate(classes)},
    )  # fmt: skip
    kind = transformers.ResNetForImageClassification
    model = kind(config) if start is None else kind.from_pretrained(start).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps)
    rng, losses = np.random.default_rng(seed), []
    for _ in range(steps):
        picked = rng.integers(0, len(photos), batch)
        pixels = torch.from_numpy(photos[np.sort(picked)]).permute(0, 3, 1, 2).float() / 127.5 - 1
        mirrored = torch.from_numpy(rng.random(batch) < 0.5)
        pixels = torch.where(mirrored[:, None, None, None], pixels.flip(3), pixels)
        loss = torch.nn.functional.cross_entropy(model(pixels).logits, labels[np.sort(picked)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    model.eval().save_pretrained(folder)
    half, size = [0.5, 0.5, 0.5], dict.fromkeys(("height", "width"), photos.shape[1])
    transformers.ViTImageProcessor(size=size, image_mean=half, image_std=half).save_pretrained(folder)
    return float(np.mean(losses[-max(1, steps // 10) :]))


# ---- classes of the data among the outputs of a classifier ----


def match_classes(classes: Sequence[str], outputs: Sequence[str]) -> Int64[np.ndarray, " classes"]:
    """Which output of a classifier stands for each class of the data, -1 where none or several do.

    ImageNet's 1,000 WordNet ids are matched by order, everything else by name: an output may have several names, with
    commas between ("church, church building"); case, underscores and hyphens do not count.
    """
    if len(classes) == 1000 and all(re.fullmatch(r"n\d{8}", name) for name in classes):
        return np.argsort(np.argsort(classes)) + len(outputs) - 1000  # one more: 0 is background
    plain = lambda text: re.sub(r"[\s_-]+", " ", text).strip().lower()
    named = {}
    for index, output in enumerate(outputs):
        for name in {plain(output), *(plain(part) for part in output.split(","))}:
            named.setdefault(name, []).append(index)
    found = [named.get(plain(name), []) for name in classes]
    return np.array([places[0] if len(places) == 1 else -1 for places in found], dtype=np.int64)

"""The training loop: Adam, the paper's schedule in steps, validation, checkpoints, plain progress lines."""

import csv
import io
import logging
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric

from repro.colorizer import Colorizer
from repro.evaluation.raw_accuracy import RawAccuracy
from repro.initialization import kmeans_initialize, random_initialize
from repro.network import ColorizationNet
from repro.training.batches import center_crops, to_example, training_crops
from repro.training.checkpoints import load_state, photos_fingerprint, save_state
from repro.training.settings import expect, learning_rate
from repro.weights import save_weights, write_atomically

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
logging.getLogger("lightning.fabric").setLevel(logging.WARNING)

SAMPLE = 48  # photographs that initialisation looks at
PROGRESS_SECONDS = 5


class TrainingDiverged(Exception):
    """The loss is no longer a number."""


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves: `weights` (the best by validation loss), `curve` (CSV), `history` (its rows as
    dicts)."""

    weights: Path
    curve: Path
    history: list


def best_precision(device_type):
    """bf16-mixed where the hardware multiplies in bfloat16, else 32-true."""
    if device_type == "cpu":
        return "bf16-mixed" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "32-true"
    return "bf16-mixed" if device_type == "cuda" and torch.cuda.is_bf16_supported() else "32-true"


def build_network(settings, objective, photos):
    """A network, initialised as the settings say: from a sample of the photographs (N, S, S, 3) uint8, or at
    random."""
    torch.manual_seed(settings.seed)
    network = ColorizationNet(settings.width, objective.outputs)
    if settings.initialization == "kmeans":
        crops = training_crops(photos, min(SAMPLE, len(photos)), settings.crop, settings.seed + 1, 0)
        kmeans_initialize(network, to_example(crops)[0], seed=settings.seed)
    else:
        random_initialize(network, settings.initialization)
    return network


def train(photos, validation, settings, objective, folder, report=print):
    """Train one objective.

    photos, validation: (N, S, S, 3) uint8 arrays, may be memory-mapped.  settings: TrainingSettings.
    objective: Objective.
    folder: where best.safetensors, last.safetensors and curve.csv are written; if last.safetensors of the
    same settings is there, training continues from it.  report: called with each progress line.
    Returns a TrainingResult.  Raises TrainingDiverged when the loss is not finite, CheckpointError for a
    checkpoint of other settings or photographs, ValueError if settings, objective and photographs do not go
    together.
    """
    wanted = f"the settings are for {settings.objective}, so the objective must be too"
    expect(objective.name == settings.objective, wanted, objective.name)
    for split in (photos, validation):
        center_crops(split[:1], settings.crop)
    folder = Path(folder)
    probe = Fabric(accelerator="auto", devices=1)
    precision = best_precision(probe.device.type) if settings.precision == "auto" else settings.precision
    fabric = Fabric(accelerator="auto", devices=1, precision=precision)
    network = build_network(settings, objective, photos).to(fabric.device, memory_format=torch.channels_last)
    optimizer = adam(network, settings)
    start, history = (
        load_state(folder, network, optimizer, settings, photos, objective.bins)
        if (folder / "last.safetensors").exists()
        else (0, [])
    )
    model, optimizer = fabric.setup(network, optimizer)
    header = {
        "settings": asdict(settings),
        "short_side": photos.shape[1],
        "trained_on": len(photos),
        "photos": photos_fingerprint(photos),
    }
    report(
        f"{settings.objective}: {'continuing at step ' + str(start) if start else 'starting'}, {settings.steps} steps of {settings.batch} crops of "
        f"{settings.crop} px from {len(photos)} photographs, width {settings.width:g}, {precision} on {fabric.device.type}"
    )
    clock = Clock(settings, report)
    best = min((row["validation_loss"] for row in history), default=math.inf)
    for step in range(start, settings.steps):
        rate = learning_rate(settings.schedule, step, settings.steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        crops = training_crops(photos, settings.batch, settings.crop, settings.seed, step)
        loss = training_step(fabric, model, optimizer, objective, crops)
        if not math.isfinite(loss):
            raise TrainingDiverged(_diverged(settings, step, rate, loss, folder, history))
        clock.tick(step, loss, rate)
        if (step + 1) % settings.validate_every == 0 or step + 1 == settings.steps:
            scores = validate(model, objective, validation, settings.crop)
            if not math.isfinite(scores["validation_loss"]):
                raise TrainingDiverged(
                    _diverged(settings, step, rate, scores["validation_loss"], folder, history)
                )
            history.append(
                {
                    "step": step + 1,
                    "learning_rate": rate,
                    "training_loss": clock.mean_loss(),
                    **scores,
                    "photos_per_second": clock.photos_per_second(),
                }
            )
            report(
                f"  step {step + 1}: validation loss {scores['validation_loss']:.4f}, AuC {scores['auc']:.3f}"
            )
            network.train()
            if scores["validation_loss"] < best or not (folder / "best.safetensors").exists():
                best = min(best, scores["validation_loss"])
                save_weights(
                    folder / "best.safetensors", network, objective, step=step + 1, scores=scores, **header
                )
            save_state(folder, network, optimizer, objective, step + 1, history, header)
            write_curve(folder / "curve.csv", history)
            clock.resume()
    return TrainingResult(folder / "best.safetensors", folder / "curve.csv", history)


def adam(network, settings):
    """The optimiser, with the rate still to be set."""
    betas = settings.beta1, settings.beta2
    return torch.optim.Adam(
        network.parameters(), lr=0.0, betas=betas, weight_decay=settings.mean_loss_weight_decay, fused=True
    )


def training_step(fabric, model, optimizer, objective, rgb8):
    """One step on crops (N, crop, crop, 3) uint8.  Returns the loss, a float; one that is not finite changes
    no weight."""
    lightness, ab = fabric.to_device(to_example(rgb8))
    loss = objective.loss(model(lightness.contiguous(memory_format=torch.channels_last)), ab)
    value = loss.item()
    if math.isfinite(value):
        fabric.backward(loss)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return value


@torch.no_grad()
def validate(model, objective, photos, crop, batch=64):
    """Loss and both AuC figures on the middles of the photographs: {"validation_loss", "auc",
    "auc_rebalanced"}.

    A loss that is not finite is handed back alone: no colour can be made of such an output.
    """
    model.eval()
    colorizer = Colorizer(model, objective.bins, objective.name)
    accuracy, losses = RawAccuracy(objective.bins), []
    for first in range(0, len(photos), batch):
        lightness, ab = to_example(center_crops(photos[first : first + batch], crop))
        output = colorizer.predict(lightness)
        losses.append(float(objective.loss(output, ab)) * len(ab))
        if not math.isfinite(losses[-1]):
            return {"validation_loss": losses[-1]}
        accuracy.add(colorizer.decode(output).permute(0, 2, 3, 1), ab)
    return {
        "validation_loss": sum(losses) / len(photos),
        "auc": accuracy.auc(),
        "auc_rebalanced": accuracy.auc(rebalanced=True),
    }


class Clock:
    """Progress lines: rate, loss, time left.  Only training is timed, not validation."""

    def __init__(self, settings, report):
        self.settings, self.report = settings, report
        self.busy, self.done, self.losses = 0.0, 0, []
        self.resume()
        self.shown = self.mark

    def resume(self):
        self.mark = time.monotonic()

    def tick(self, step, loss, rate):
        now = time.monotonic()
        self.busy, self.mark, self.done = self.busy + now - self.mark, now, self.done + 1
        self.losses.append(loss)
        if now - self.shown >= PROGRESS_SECONDS or step + 1 == self.settings.steps:
            self.shown = now
            recent, left = self.losses[-20:], (self.settings.steps - step - 1) * self.busy / self.done
            self.report(
                f"  step {step + 1}/{self.settings.steps}  loss {sum(recent) / len(recent):.4f}  rate {rate:.2e}  "
                f"{self.photos_per_second():.0f} photographs/s  {int(left // 60)} min {int(left % 60):02d} s left"
            )

    def photos_per_second(self):
        return self.done * self.settings.batch / self.busy

    def mean_loss(self):
        """Mean loss since the last call."""
        recent, self.losses = self.losses, []
        return sum(recent) / len(recent)


def write_curve(path, history):
    """The history as CSV, one row a validation: what `dvc plots` draws."""
    text = io.StringIO()
    writer = csv.DictWriter(text, history[0])
    writer.writeheader()
    writer.writerows(history)
    write_atomically(path, text.getvalue().encode())


def _diverged(settings, step, rate, loss, folder, history):
    kept = (
        f"the last good checkpoint is {folder / 'last.safetensors'} (step {history[-1]['step']})"
        if history
        else "no checkpoint yet"
    )
    return (
        f"the loss of {settings.objective} became {loss} at step {step}, learning rate {rate:.3g}; {kept}. "
        f"Try a lower rate in train.schedule (now {settings.schedule!r})."
    )

"""The training loop: Adam, the paper's schedule in steps, validation, checkpoints, on one process or many."""

import math
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor

from repro.color import Array
from repro.colorizer.weights import save_weights
from repro.datasets.folder import SourceError
from repro.examples import to_example
from repro.kinds import expect
from repro.training.batches import Photos, check_size, cut, feed_of, is_array, shrunk, window_side
from repro.training.checkpoints import (
    KEEP,
    alone_in,
    checkpoints,
    kept,
    load_state,
    photos_fingerprint,
    save_state,
    writing_to,
)
from repro.training.networks import adam, build_network, faded, grainy, running_average
from repro.training.processes import (
    StopRequest,
    autocast,
    fastest_precision,
    is_lost_process,
    open_fabric,
    summed,
)
from repro.training.progress import Progress, TrainingDiverged
from repro.training.settings import learning_rate
from repro.training.validation import validate, write_curve

__all__ = ["TrainingDiverged", "TrainingResult", "TrainingStopped", "train"]


class TrainingStopped(Exception):
    """Asked to stop, or left alone by another process; the same run continues from what is saved."""


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves, and the `precision` and `device` it ran in.

    `weights` (the best by validation loss), `curve` (CSV), `history` (its rows as dicts).
    """

    weights: Path
    curve: Path
    history: list
    precision: str
    device: str


def train(
    photos: Photos, validation: UInt8[Array, "m r r 3"], settings, objective, folder, report=print, *,
    checkpoint_every=1000, keep=KEEP, fabric=None,
) -> TrainingResult:  # fmt: skip
    """Train one objective.

    photos: may be memory-mapped.  validation: other photographs; shards are read at their size.
    settings: TrainingSettings.  objective: Objective.
    folder: where best.safetensors, curve.csv and checkpoints are written; if there are checkpoints of the same
    run, training continues from the newest.  report: called with each progress line.  checkpoint_every:
    steps; there is one at each validation, too, and after SIGTERM or ctrl-c.  keep: so many checkpoints stay.  fabric:
    of `open_fabric`, made if None; under torchrun every process calls this, and the first one writes.
    Raises TrainingDiverged when the loss is not finite, TrainingStopped after
    SIGTERM, ctrl-c or where another process is lost, SourceError where shards do not come any more, CheckpointError for
    a checkpoint of other settings or photographs, a full disk or a folder at which another training is at work,
    ValueError if settings, objective and photographs do not go together.
    """
    fabric = fabric or open_fabric()
    folder = Path(folder)
    _check(photos, validation, settings, objective, fabric.world_size)
    with StopRequest(fabric) as stop, alone_in(folder) if fabric.global_rank == 0 else nullcontext():
        run = Run(photos, validation, settings, objective, folder, report, keep, fabric)
        try:
            _learn(run, stop, checkpoint_every)
        except RuntimeError as error:
            if not is_lost_process(error, fabric):
                raise
            raise TrainingStopped(
                f"process {fabric.global_rank} of {fabric.world_size} stops, as another one ended or does not answer; "
                f"{kept(folder)}: the same command continues there"
            ) from None
    found = run.folder / "best.safetensors", run.folder / "curve.csv", run.history
    return TrainingResult(*found, run.precision, run.fabric.device.type)


def _learn(run, stop, checkpoint_every):
    """Step, measure and save until all of the training is done, or someone asks to stop."""
    done, share = run.start, run.share(run.start)
    while share < 1:
        # where a training has a time, the schedule follows the clock and not only the steps
        rate = learning_rate(run.settings.schedule, max(done, share * run.settings.steps), run.settings.steps)
        for group in run.optimizer.param_groups:
            group["lr"] = rate * group["factor"]  # below 1 for layers that were trained before: `rates` of a network
        try:
            loss = run.step(done, run.settings.crop_at(share))
        except SourceError as error:
            raise run.without_photographs(done, error) from None
        done, share = done + 1, run.share(done + 1)
        run.progress.add(done - 1, loss, rate, share)
        stopping = stop.agreed(done)  # by all processes: one that stops alone would leave the others waiting
        validating = done % run.settings.validate_every == 0 or share >= 1
        if validating:  # before the checkpoint, which keeps the new row of the history
            run.validate(done, rate)
        if validating or stopping or done % checkpoint_every == 0:
            run.save(done)
        if stopping and share < 1:
            raise TrainingStopped(f"stopped after step {done}; the same run continues from {run.folder}")


class Run:
    """All that a training consists of, as it stood at its newest checkpoint if there is one."""

    def __init__(self, photos, validation, settings, objective, folder, report, keep, fabric):
        self.settings, self.objective, self.validation = settings, objective, validation
        self.folder, self.keep, self.fabric, self.first = folder, keep, fabric, fabric.global_rank == 0
        self.report = report if self.first else lambda line: None
        size, device = validation.shape[1], fabric.device
        new = self.first and not checkpoints(folder)
        # only a new run draws weights, and only its first process; else they come from there or from a checkpoint
        network = build_network(settings, objective, photos, size, empty=not new)
        self.network = network.to(device, memory_format=torch.channels_last)
        self.average = running_average(self.network, settings.average)
        optimizer = adam(self.network, settings)
        saved = load_state(folder, self.network, optimizer, settings, photos, objective.bins, self.report, self.average)
        self.start, self.history = saved.get("step", 0), saved.get("history", [])
        self.precision = saved.get("precision") or fastest_precision(settings.precision, fabric)
        self.header = {
            "settings": asdict(settings), "short_side": size, "trained_on": len(photos),
            "photos": photos_fingerprint(photos), "precision": self.precision, "processes": fabric.world_size,
        }  # fmt: skip
        compiled = torch.compile if settings.compiled else lambda function: function
        # `model` is for training on several processes; `network`, for measuring and saving, has the same weights
        self.model, self.optimizer = fabric.setup(compiled(self.network), optimizer)
        self.encoded = compiled(self._encoded) if device.type == "cuda" else self._encoded
        self.resident = objective.on(device)
        self.feed = feed_of(photos, size, settings, fabric, self.start)
        self.feed.skipped = saved.get("skipped", 0) if self.first else 0
        self.began = time.monotonic() - saved.get("seconds", 0.0)  # as if it had never been interrupted
        self._introduce(len(photos), saved.get("processes", fabric.world_size))
        running = saved.get("running", (0.0, 0))
        self.progress = Progress(settings, self.report, running, lambda: kept(folder), self.share(self.start))

    def _introduce(self, count, processes):
        s, world = self.settings, self.fabric.world_size
        if processes != world:
            self.report(f"the checkpoint is of {processes} processes, here are {world}: not bit for bit the same run")
        self.report(
            f"{s.objective}: {f'continuing at step {self.start}' if self.start else 'starting'}, "
            f"{f'{s.minutes:g} minutes' if s.minutes else f'{s.steps} steps'} of {s.batch} crops of {s.crop} px "
            f"from {count} photographs, {'encoder, ' if s.network == 'encoder' else ''}width {s.width:g}, "
            f"{self.precision} on "
            f"{self.fabric.device.type}" + (f", {world} processes" if world > 1 else "")
        )

    @property
    def seconds(self):
        """How long the run has taken, with what it took before it was interrupted."""
        return time.monotonic() - self.began

    def share(self, done):
        """The share of the training that is done after `done` steps.

        It counts steps.  Where the training has a time, it counts that, too, and the larger share is the answer.  All
        processes get the same.
        """
        share = done / self.settings.steps
        if self.settings.minutes:
            share = max(share, self.fabric.broadcast(self.seconds / (60 * self.settings.minutes)))
        return share

    def example(
        self, photos: UInt8[Array, "n s s 3"], where: Int64[Array, "4 m"], side: int, crop: int
    ) -> tuple[Float[Tensor, "m 1 {crop} {crop}"], tuple[Tensor, ...]]:
        """What the network is given, and the targets: cut, mirrored, shrunk, brought to Lab and soft-encoded."""
        return self.encoded(shrunk(cut(photos, where, side), crop))

    def _encoded(self, crops):
        lightness, ab = to_example(crops)
        if self.settings.faded:
            lightness = faded(lightness, self.settings.faded)
        if self.settings.noise:
            lightness = grainy(lightness, self.settings.noise)
        # channels last: the order in memory in which convolutions are fastest
        return lightness.contiguous(memory_format=torch.channels_last), self.resident.targets(ab)

    def batch(self, step, crop):
        """The crops of a step, for `example`: photographs, windows into them, the windows' side, the crops'."""
        settings = self.settings
        side = window_side(self.feed.size, crop, settings.seed, step) if settings.resized else crop
        return *self.feed.batch(step, side), side, crop

    def step(self, step: int, crop: int) -> Float32[Tensor, ""]:
        """One step of Adam on crops of `crop` pixels.

        Returns the loss, on the device; nothing here makes the host wait for a GPU.
        """
        photos, where, side, crop = self.batch(step, crop)
        parts, total = self.settings.accumulate, 0.0
        each = where.shape[1] // parts
        for part in range(parts):
            lightness, targets = self.example(photos, where[:, part * each : (part + 1) * each], side, crop)
            # processes add their gradients once a step, with the last part
            with self.fabric.no_backward_sync(self.model, enabled=part + 1 < parts):
                with autocast(self.precision, self.fabric.device):
                    output = self.model(lightness)
                # each part's loss is a mean, and the mean of equal parts' means is the batch's.
                # The logits may be overwritten, as nothing after their gradient needs them
                loss = self.resident.loss_to(output, targets, overwrite=True) / parts
                self.fabric.backward(loss)
            total = total + loss.detach()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average:
            self.average.update_parameters(self.network)
        return total

    @property
    def result(self):
        """The network that is validated and kept."""
        return self.average.module if self.average else self.network

    def validate(self, done, rate):
        """Measure, add a row to the history and the curve, keep the weights if they are the best so far."""
        self.progress.collect()
        scores = validate(self.result, self.objective, self.validation, self.settings.crop, self.precision, self.fabric)
        self.progress.check(done - 1, scores["validation_loss"])
        # before this row joins the history, so that it is compared with the earlier ones
        best = min((row["validation_loss"] for row in self.history), default=math.inf)
        self.history.append(
            {
                "step": done,
                "learning_rate": rate,
                "training_loss": self.progress.mean_loss(),
                **scores,
                "photos_per_second": self.progress.photos_per_second(),
            }
        )
        self.report(f"  step {done}: validation loss {scores['validation_loss']:.4f}, AuC {scores['auc']:.3f}")
        if not self.first:
            return
        with writing_to(self.folder):
            if scores["validation_loss"] < best or not (self.folder / "best.safetensors").exists():
                header = self.header | {"step": done, "scores": scores}
                save_weights(self.folder / "best.safetensors", self.result, self.objective, **header)
            write_curve(self.folder / "curve.csv", self.history)

    def without_photographs(self, done, error):
        """Save what was learned when a step's photographs cannot be read, and return the error to raise.

        With several processes it does not save, as the others would not join; the last checkpoint stands.
        """
        if self.fabric.world_size == 1 and done > self.start:
            self.save(done)
        return SourceError(f"{error}; stopped after step {done}, {kept(self.folder)}: the same run continues there")

    def save(self, done):
        """A checkpoint, written by the first process while the others wait."""
        self.progress.collect()
        # every process joins in this sum, so it stands before what only the first one does
        skipped = int(summed(torch.tensor(float(self.feed.skipped)), self.fabric))
        if skipped:
            self.report(f"  {skipped} broken photographs passed over so far")
        if self.first:
            state = {
                "history": self.history, "running": self.progress.running, "skipped": skipped,
                "seconds": self.seconds,
            }  # fmt: skip
            save_state(
                self.folder,
                self.network,
                self.optimizer,
                self.objective,
                done,
                self.header | state,
                self.keep,
                self.average,
            )
        self.fabric.barrier()
        self.progress.resume()  # the time that saving took is no training


def _check(photos, validation, settings, objective, processes):
    wanted = f"the settings are for {settings.objective}, so the objective must be too"
    expect(objective.name == settings.objective, wanted, objective.name)
    each = settings.accumulate * processes
    expect(
        settings.batch % each == 0,
        f"the batch must be a multiple of {each} (accumulate {settings.accumulate}, processes {processes})",
        settings.batch,
    )
    for split in (photos, validation):
        if is_array(split):
            check_size(split, settings.crop)

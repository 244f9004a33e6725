"""How a run is going: losses, rate and time left, as plain lines."""

import math
import time

import torch

SECONDS = 5  # between two lines
MOST = 100  # losses that wait on a GPU


class TrainingDiverged(Exception):
    """The loss is no longer a number."""


class Progress:
    """Losses and rate of a run.

    Losses stay on the device until a line, a validation or a checkpoint needs them: the host of a GPU never waits for a
    step. report: called with each line. running: (sum, count) of the losses since the last validation, of a run that is
    continued. kept: () -> words on what is left if the run fails. share: of the training, 0..1, that was done before.
    Only training is timed, not validation.
    """

    def __init__(self, settings, report, running=(0.0, 0), kept=lambda: "no checkpoint yet", share=0.0):
        self.settings, self.report, self.kept = settings, report, kept
        self.share = self.first_share = share
        self.total, self.count = running
        self.waiting, self.recent = [], []
        self.busy, self.done = 0.0, 0
        self.resume()
        self.shown = self.mark

    def resume(self):
        """Start the clock again, after something that is no training."""
        self.mark = time.monotonic()

    def add(self, step, loss, rate, share):
        """One step is done.

        loss: a scalar tensor.  rate: the learning rate.  share: of the training that is done with this step, 0..1.
        """
        self.waiting.append(loss.detach())
        self.step, self.rate, self.done = step, rate, self.done + 1
        self.share = share
        due = time.monotonic() - self.shown >= SECONDS or share >= 1
        if loss.device.type == "cpu" or due or len(self.waiting) >= MOST:
            self.collect()
        if due:
            self._show()

    def collect(self):
        """Fetch the losses that wait.  Raises TrainingDiverged for one that is not finite."""
        losses = torch.stack(self.waiting).tolist() if self.waiting else []
        first, self.waiting = self.step - len(losses) + 1, []
        for step, loss in enumerate(losses, first):
            self.check(step, loss)
            self.total, self.count = self.total + loss, self.count + 1
        self.recent = (self.recent + losses)[-20:]
        now = time.monotonic()
        self.busy, self.mark = self.busy + now - self.mark, now

    def check(self, step, loss):
        """Raises TrainingDiverged if the loss of a step is not finite."""
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the loss of {self.settings.objective} became {loss} at step {step}, learning rate {self.rate:.3g}; "
                f"{self.kept()}. Try a lower rate in train.schedule (now {self.settings.schedule!r})."
            )

    @property
    def running(self):
        """(Sum of the losses, their number) since the mean was last asked."""
        return self.total, self.count

    def mean_loss(self):
        """Mean loss since the last call; of several processes, the first one's."""
        mean = self.total / self.count
        self.total, self.count = 0.0, 0
        return mean

    def photos_per_second(self):
        """Photographs a second while steps were taken."""
        return self.done * self.settings.batch / self.busy

    def _show(self):
        self.shown = time.monotonic()
        left = self.busy * (1 - self.share) / max(1e-9, self.share - self.first_share)
        done = f"{self.share:.0%}" if self.settings.minutes else f"{self.step + 1}/{self.settings.steps}"
        self.report(
            f"  step {done}  loss {sum(self.recent) / len(self.recent):.4f}  rate {self.rate:.2e}  "
            f"{self.photos_per_second():.0f} photographs/s  {int(left // 60)} min {int(left % 60):02d} s left"
        )

"""What a training run is: one frozen record, and the learning-rate schedules."""

import math
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from itertools import pairwise
from json import dumps

from repro.examples import STRIDE
from repro.kinds import (
    OBJECTIVES,
    Decay,
    Neighbours,
    Positive,
    SettingsError,
    Share,
    check_record,
    expect,
    one_of,
)
from repro.settings import KINDS, Recipe, unknown


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(Recipe):
    """One training run: the recipe, and what other sections of params.yaml say about it.

    The defaults are the paper's (section 3.1), which `conf/size/imagenet.yaml` uses; the release's own solver
    has another schedule (see `Recipe`).

    Weight decay is stated as in the release, whose loss SUMS over the output pixels of a photograph. Ours
    averages, so Adam is given weight_decay / (crop / 4)^2, which decays exactly as much: a mean loss with
    1e-3 would decay 1936 times too hard.

    initialization may name weights of the same width: "models/OBJECTIVE.safetensors" stands for those of one's
    own objective, another name for whose they are, as the paper's regression fine-tuned from the full model;
    what fits in shape is taken over.
    """

    objective: one_of(*OBJECTIVES) = field(default="rebalanced", kw_only=False)
    beta1: Decay = 0.9
    beta2: Decay = 0.99
    neighbours: Neighbours = 5
    sigma: Positive = 5.0  # ab units
    uniform_mix: Share = 0.5  # the paper's lambda

    def __post_init__(self):
        check_record(self)
        from_weights = self.initialization.endswith(".safetensors")
        expect(
            self.network != "encoder" or self.initialization == "he" or from_weights,
            "initialization must be he (for its decoder) or a .safetensors file, for network encoder",
            self.initialization,
        )
        expect(
            self.network != "encoder" or self.encoder or from_weights,
            "encoder must name a file, a folder, or `package`, for network encoder to start from",
            self.encoder,
        )
        parts = f"accumulate must divide the batch of {self.batch}"
        expect(self.batch % self.accumulate == 0, parts, self.accumulate)
        by_step = self.minutes > 0 and not self.schedule.startswith("cosine")
        expect(not by_step, "a training of so many minutes needs a schedule 'cosine RATE'", self.schedule)
        learning_rate(self.schedule, 0, self.steps)
        self.crop_at(0.0)

    def crop_at(self, share):
        """The crop, pixels, when `share` (0..1) of the training is done."""
        parts = []
        for word in self.growing.split():
            size, _, until = word.partition(":")
            try:
                parts.append((int(size), float(until)))
            except ValueError:
                parts.append((0, 0.0))
        sizes, ends = [size for size, _ in parts] + [self.crop], [0.0] + [end for _, end in parts] + [1.0]
        right = all(size >= 16 and size % 8 == 0 for size in sizes) and all(a < b for a, b in pairwise(ends))
        rule = (
            "growing must be 'PIXELS:SHARE ...', multiples of 8 with shares that rise from 0 to 1, as '64:0.4 96:0.7'"
        )
        expect(right, rule, self.growing)
        return next((size for size, end in parts if share < end), self.crop)

    @property
    def mean_loss_weight_decay(self):
        """The L2 factor that goes with a loss averaged over pixels."""
        return self.weight_decay / (self.crop // STRIDE) ** 2

    def key(self):
        """Short name of these settings: a run is continued only by the same settings."""
        return f"{self.objective}-{sha256(dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:10]}"


def settings_of(settings, objective):
    """The TrainingSettings of `repro.settings.Settings`: what `repro train` and page 04 of the pipeline train with."""
    encoding, uniform_mix = settings.encoding, settings.prior.uniform_mix
    return settings_from(objective, settings["train"], encoding.neighbours, encoding.sigma, uniform_mix)


def settings_from(objective, train, neighbours, sigma, uniform_mix):
    """The TrainingSettings of section `train`, a dict; what it does not name is the paper's.

    Its checkpoint_every is left out: it does not change what is learned.  Raises SettingsError.
    """
    recipe = {name: value for name, value in train.items() if name != "checkpoint_every"}
    for name in recipe:
        if name not in KINDS["train"]:
            raise SettingsError(unknown(f"train.{name}"))
    try:
        return TrainingSettings(objective, neighbours=neighbours, sigma=sigma, uniform_mix=uniform_mix, **recipe)
    except ValueError as error:  # its words begin with the setting's name, or are about a schedule
        known = str(error).split()[0] in KINDS["train"]
        prefix = "train." if known else "train.schedule: " if str(error).startswith("a ") else ""
        raise SettingsError(f"{prefix}{error}") from None


def learning_rate(schedule, step, steps):
    """Learning rate at a step, from a schedule in words.

    "0:3e-5 200000:1e-5": piecewise constant, each rate from its step on; the first step must be 0.
    "cosine 2e-3": linear rise over the first 2 % of `steps`, then down to 0 along a cosine.
    Raises ValueError for anything else.
    """
    words = schedule.split()
    try:
        if words[0] == "cosine" and len(words) == 2:
            peak, rise = float(words[1]), max(1, steps // 50)
            if not 0 <= peak < math.inf:
                raise ValueError
            if step < rise:
                return peak * (step + 1) / rise
            return peak * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
        drops = [(int(at), float(rate)) for at, rate in (word.split(":") for word in words)]
        steps_rise = all(here < there for (here, _), (there, _) in pairwise(drops))
        if drops[0][0] == 0 and steps_rise and all(0 <= rate < math.inf for _, rate in drops):
            return [rate for at, rate in drops if at <= step][-1]
    except (ValueError, IndexError):
        pass
    raise ValueError(f"a schedule is 'cosine RATE' or '0:RATE STEP:RATE ...' in rising steps, got {schedule!r}")

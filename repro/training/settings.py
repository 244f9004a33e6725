"""What a training run is: one frozen record, and the learning-rate schedules."""

import math
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import pairwise
from json import dumps

from repro.objectives import NAMES

NETWORKS = ("paper", "encoder")
INITIALIZATIONS = ("kmeans", "he", "gaussian")
PRECISIONS = ("auto", "bf16-mixed", "32-true")


@dataclass(frozen=True)
class TrainingSettings:
    """One training run.  The defaults are the paper's (section 3.1 and the release), which
    `conf/size/imagenet.yaml` uses.

    Weight decay is stated as in the release, whose loss SUMS over the output pixels of a photograph. Ours
    averages, so Adam is given weight_decay / (crop / 4)^2, which decays exactly as much: a mean loss with
    1e-3 would decay 1936 times too hard.

    initialization may name weights of the same width: "models/OBJECTIVE.safetensors" stands for those of one's
    own objective, another name for whose they are, as the paper's regression fine-tuned from the full model;
    what fits in shape is taken over.
    """

    objective: str = "rebalanced"
    network: str = "paper"  # or encoder: the paper's objective on an encoder that ImageNet's labels taught
    encoder: str = ""  # that encoder's weights to start from: a file or folder, or "package"
    width: float = 1.0  # of the network; of network encoder, its decoder
    steps: int = 450_000
    batch: int = 40  # photographs a step, over all processes
    crop: int = 176  # pixels, a multiple of 8
    growing: str = ""  # smaller crops at first: "64:0.4 96:0.7" are 64 px until 40 % of the training, 96 until 70 %, then `crop`
    resized: bool = False  # random resized crops: windows from the crop's size up to the whole square, shrunk to the crop
    minutes: float = 0.0  # the training lasts so long, schedule included, and `steps` at most; 0: exactly `steps`
    schedule: str = "0:3e-5 200000:1e-5 375000:3e-6"
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 1e-3  # for a loss summed over pixels
    neighbours: int = 5
    sigma: float = 5.0  # ab units
    uniform_mix: float = 0.5  # the paper's lambda
    initialization: str = "kmeans"  # he, gaussian (deviation .01, as the paper compares with), or weights
    noise: float = 0.0  # grain added to a photograph's lightness: deviation of up to so much, in L
    faded: float = 0.0  # prints whose black and white have each moved by up to this share of the range
    average: float = 0.0  # of the weights: decay of a running mean, which is then what is kept; 0: none
    validate_every: int = 1000  # steps
    precision: str = "auto"  # auto: bf16-mixed where that is the faster; or 32-true
    accumulate: int = 1  # parts of a batch that go through the network one after another, to save memory
    compiled: bool = False  # by torch.compile: a minute at the start, then faster steps, on a GPU above all
    seed: int = 0

    def __post_init__(self):
        expect(self.objective in NAMES, f"objective must be one of {NAMES}", self.objective)
        expect(self.network in NETWORKS, f"network must be one of {NETWORKS}", self.network)
        expect(self.width > 0, "width must be positive", self.width)
        for name in ("steps", "batch", "validate_every", "accumulate"):
            expect(getattr(self, name) >= 1, f"{name} must be at least 1", getattr(self, name))
        expect(
            self.crop >= 16 and self.crop % 8 == 0,
            "crop must be a multiple of 8, at least 16 (pixels)",
            self.crop,
        )
        expect(
            self.initialization in INITIALIZATIONS or self.initialization.endswith(".safetensors"),
            f"initialization must be one of {INITIALIZATIONS}, or a .safetensors file of weights to go on from",
            self.initialization,
        )
        from_weights = self.initialization.endswith(".safetensors")
        expect(
            self.network == "paper" or self.initialization == "he" or from_weights,
            "network encoder has initialization he (for its decoder), or a .safetensors file",
            self.initialization,
        )
        expect(
            self.network == "paper" or self.encoder or from_weights,
            "network encoder starts from weights, so encoder must name a file, a folder, or `package`",
            self.encoder,
        )
        expect(0 <= self.noise <= 100, "noise must be at least 0 and at most 100 (L)", self.noise)
        expect(0 <= self.faded < 0.5, "faded must be at least 0 and below .5", self.faded)
        expect(0 <= self.average < 1, "average must be at least 0 and below 1", self.average)
        expect(self.precision in PRECISIONS, f"precision must be one of {PRECISIONS}", self.precision)
        expect(
            self.batch % self.accumulate == 0,
            f"accumulate must divide the batch of {self.batch}",
            self.accumulate,
        )
        expect(0 <= self.minutes < math.inf, "minutes must be at least 0", self.minutes)
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
        rule = "growing must be 'PIXELS:SHARE ...', multiples of 8 with shares that rise from 0 to 1, as '64:0.4 96:0.7'"
        expect(right, rule, self.growing)
        return next((size for size, end in parts if share < end), self.crop)

    @property
    def mean_loss_weight_decay(self):
        """The L2 factor that goes with a loss averaged over pixels."""
        return self.weight_decay / (self.crop // 4) ** 2

    def key(self):
        """Short name of these settings: a run is continued only by the same settings."""
        return f"{self.objective}-{sha256(dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:10]}"


def settings_of(params, objective):
    """The TrainingSettings of params.yaml, read as a dict: what page 04 of the pipeline trains with."""
    others = ("objectives", "checkpoint_every")  # which do not change what is learned
    train = {name: value for name, value in params["train"].items() if name not in others}
    train |= {name: params["encoding"][name] for name in ("neighbours", "sigma")}
    return TrainingSettings(objective, **train, uniform_mix=params["prior"]["uniform_mix"])


def expect(condition, rule, value):
    if not condition:
        raise ValueError(f"{rule}, got {value!r}")


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
    raise ValueError(
        f"a schedule is 'cosine RATE' or '0:RATE STEP:RATE ...' in rising steps, got {schedule!r}"
    )

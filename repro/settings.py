"""params.yaml, read once: each section is a frozen record whose values have their types and lie in their ranges.

    settings = read("params.yaml", {"train.steps": 5000})
    settings.train.width, settings["decode.temperature"], settings["train"]

Whatever is wrong stops with one line that names the setting, what came and what is expected:
"train.width must be a positive number, got 'abc'".
"""

from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import get_type_hints

import yaml

from repro.kinds import (
    LAYERS,
    NETWORKS,
    OBJECTIVES,
    PRECISIONS,
    PUZZLES,
    SOURCES,
    UNSEEN_SOURCES,
    Classifiers,
    Crop,
    Decay,
    Fading,
    Grain,
    Neighbours,
    NotNegative,
    Positive,
    SettingsError,
    Share,
    Start,
    Switch,
    Text,
    checked,
    one_of,
    some_of,
    whole,
)
from repro.yaml12 import Yaml12

# ---- the sections ----


@dataclass(frozen=True)
class Data:
    """The photographs: their source, size and number in each split."""

    source: one_of(*SOURCES)
    folder: Text
    size: whole(8)
    train: whole(0)
    val: whole(0)
    test: whole(0)
    seed: whole(0)


@dataclass(frozen=True)
class StartHere:
    """Page 00: the painted scenes and its small network."""

    scenes: whole(1)
    steps: whole(1)
    width: Positive


@dataclass(frozen=True)
class Prior:
    """Page 01: how the prior is counted and smoothed."""

    photographs: whole(0)
    smoothing: NotNegative
    soft: Switch
    neighbours: Neighbours
    uniform_mix: Share


@dataclass(frozen=True)
class Encoding:
    """Page 02: how a colour becomes soft targets."""

    neighbours: Neighbours
    sigma: Positive
    photographs: whole(1)


@dataclass(frozen=True)
class Network:
    """Page 03: the network and its first steps."""

    width: Positive
    steps: whole(1)


@dataclass(frozen=True)
class Models:
    """Which objectives the pipeline trains."""

    objectives: some_of(*OBJECTIVES)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What decides what a training learns; params.yaml explains each.

    The defaults are the paper's: its schedule and number of steps.  The release's own solver is another: since
    August 2016 it starts at 3.16e-5, takes .316 of that at every 215,000th step and stops at 500,000.
    """

    network: one_of(*NETWORKS) = "paper"
    encoder: Text = ""
    width: Positive = 1.0
    steps: whole(1) = 450_000
    minutes: NotNegative = 0.0
    batch: whole(1) = 40
    crop: Crop = 176
    growing: Text = ""
    resized: Switch = False
    schedule: Text = "0:3e-5 200000:1e-5 375000:3e-6"
    weight_decay: NotNegative = 1e-3
    initialization: Start = "kmeans"
    noise: Grain = 0.0
    faded: Fading = 0.0
    average: Decay = 0.0
    validate_every: whole(1) = 1000
    precision: one_of(*PRECISIONS) = "auto"
    accumulate: whole(1) = 1
    compiled: Switch = False
    seed: whole(0) = 0


@dataclass(frozen=True, kw_only=True)
class Train(Recipe):
    """A recipe, and how often its state is kept."""

    checkpoint_every: whole(1) = 1000


@dataclass(frozen=True)
class Decode:
    """Page 05: from predictions to colours."""

    temperature: Positive
    photographs: whole(1)


@dataclass(frozen=True)
class Evaluate:
    """Page 06: what is measured."""

    photographs: whole(1)
    scenes: whole(1)


@dataclass(frozen=True)
class Semantic:
    """Page 07: who is asked what the colours show."""

    classifiers: Classifiers
    photographs: whole(1)
    size: whole(8)
    steps: whole(1)
    sight: whole(0)
    grain: whole(0)


@dataclass(frozen=True)
class Realism:
    """Page 08: the study with people, simulated or real."""

    photographs: whole(1)
    size: whole(8)
    practice: whole(0)
    pairs: whole(1)
    raters: whole(1)


@dataclass(frozen=True)
class Probes:
    """Pages 09 and 10: what the features know."""

    photographs: whole(1)
    test_photographs: whole(1)
    draw: whole(1)
    seeds: whole(1)
    layers: some_of(*LAYERS)
    unseen_source: one_of(*UNSEEN_SOURCES)
    unseen_folder: Text


@dataclass(frozen=True)
class Legacy:
    """Page 11: old photographs in black and white."""

    folder: Text
    weights: Text
    most: whole(1)


@dataclass(frozen=True)
class Design(StartHere):
    """Page 13: a world of one's own, and its small networks."""

    puzzle: one_of(*PUZZLES)


@dataclass(frozen=True)
class Settings:
    """All of params.yaml."""

    data: Data
    start_here: StartHere
    prior: Prior
    encoding: Encoding
    network: Network
    models: Models
    train: Train
    decode: Decode
    evaluate: Evaluate
    semantic: Semantic
    realism: Realism
    probes: Probes
    legacy: Legacy
    design: Design

    def __post_init__(self):
        realism, needed = self.realism, self.realism.practice + self.realism.pairs
        if realism.photographs < needed:
            rule = f"realism.photographs must be at least practice + pairs, {needed}"
            raise SettingsError(f"{rule}, got {realism.photographs}")

    def __getitem__(self, name):
        """The value of "section.name", or a whole "section" as a dict, as plain Python: a list is a list.

        Raises SettingsError for a name that there is not.
        """
        if name not in (*NAMES, *KINDS):
            raise SettingsError(unknown(name))
        section, _, key = name.partition(".")
        values = asdict(getattr(self, section)).items()
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in values}
        return plain[key] if key else plain


KINDS = {section.name: get_type_hints(section.type, include_extras=True) for section in fields(Settings)}
NAMES = [f"{section}.{name}" for section, kinds in KINDS.items() for name in kinds]


# ---- reading ----


def read(file="params.yaml", changes=None):
    """The Settings of a YAML file, some of them changed: {"section.name": value}.

    Raises SettingsError for the first thing that is wrong, FileNotFoundError for the file.
    """
    if not Path(file).exists():
        raise FileNotFoundError(f"{file} is not here; run this in the project's folder, or name the file")
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}") from None
    values = _sections(load_yaml(text, file), file)
    for name, value in (changes or {}).items():
        section, _, key = name.partition(".")
        values.setdefault(section, {})[key] = value
    given = [f"{section}.{key}" for section, found in values.items() for key in found]
    for name in (*values, *given):
        if name not in (*NAMES, *KINDS):
            raise SettingsError(unknown(name))
    return Settings(**{field.name: _record(field, values.get(field.name, {}), file) for field in fields(Settings)})


def change(words):
    """("train.width", 0.5) of "train.width=0.5", whose value is YAML.  Raises SettingsError."""
    name, found, value = words.partition("=")
    if not found or "." not in name:
        raise SettingsError(f"a change is SECTION.NAME=VALUE, got {words!r}")
    return name, load_yaml(value, words) if value else ""


def load_yaml(text, where):
    """What a text says in YAML 1.2.  where: its name, for the SettingsError of a text that is none."""
    try:
        return yaml.load(text, Loader=Yaml12)
    except yaml.YAMLError as error:
        raise SettingsError(f"{where} is not YAML: {' '.join(str(error).split())}") from None


def _sections(values, file):
    if isinstance(values, dict) and all(isinstance(found, dict | None) for found in values.values()):
        return {str(section): dict(found or {}) for section, found in values.items()}
    raise SettingsError(f"{file} must have sections of settings, NAME: VALUE")


def _record(field, values, file):
    missing = [name for name in KINDS[field.name] if name not in values]
    if missing:
        raise SettingsError(f"{field.name}.{missing[0]} is missing in {file}")
    kinds = KINDS[field.name].items()
    return field.type(**{name: checked(f"{field.name}.{name}", values[name], kind) for name, kind in kinds})


def unknown(name):
    """The message for a setting that there is not."""
    near = get_close_matches(name, [*NAMES, *KINDS], n=1)
    return f"there is no setting {name}" + (f"; did you mean {near[0]}?" if near else "")

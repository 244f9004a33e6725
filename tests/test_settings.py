"""params.yaml: every setting has its type and its range, and what is wrong is said in one line."""

import json
from dataclasses import asdict, fields

import pytest
import yaml
from dvc.utils.serialize import parse_yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from repro import paths
from repro.__main__ import main
from repro.datasets.sources import _SOURCES
from repro.encoder import NETWORKS as NETWORK_KINDS
from repro.kinds import LAYERS, NETWORKS, OBJECTIVES, SOURCES
from repro.network import ColorizationNet
from repro.objectives import NAMES as OBJECTIVE_NAMES
from repro.settings import KINDS, NAMES, Recipe, SettingsError, change, load_yaml, read
from repro.training.settings import TrainingSettings, settings_from, settings_of

PARAMS = paths.ROOT / "params.yaml"
SIZES = sorted(path.stem for path in (paths.ROOT / "conf/size").glob("*.yaml"))


def test_every_setting_of_params_yaml_arrives_in_its_type():
    settings, plain = read(PARAMS), yaml.safe_load(PARAMS.read_text())
    assert {section: set(values) for section, values in plain.items()} == {s: set(k) for s, k in KINDS.items()}
    for name in NAMES:
        section, key = name.split(".")
        value = settings[name]
        assert value == plain[section][key]
        assert type(value) is (list if KINDS[section][key].__origin__ is tuple else KINDS[section][key].__origin__)


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_type_is_named(name):
    with pytest.raises(SettingsError, match=rf"^{name} must be .+, got \{{\}}$"):
        read(PARAMS, {name: {}})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("data.source", ["clouds", "voc", True]),
        ("data.folder", [7, None, False]),
        ("data.size", [7, 64.5, "64", True]),
        ("data.train", [-1]),
        ("prior.soft", ["false", 0, None]),
        ("prior.smoothing", [-1.0, float("inf"), float("nan")]),
        ("prior.neighbours", [0, 314, 2.5]),
        ("prior.uniform_mix", [-0.1, 1.1]),
        ("encoding.neighbours", [0, 314]),
        ("models.objectives", [[], "rebalanced", ["l2"], ["rebalanced", "rebalanced"]]),
        ("train.network", ["vgg"]),
        ("train.width", ["abc", 0, True, float("inf")]),
        ("train.crop", [8, 60, 64.5]),
        ("train.minutes", [-1, float("inf")]),
        ("train.weight_decay", [-1e-3]),
        ("train.initialization", ["zeros", ""]),
        ("train.noise", [-1, 101]),
        ("train.average", [1, -0.1]),
        ("train.precision", ["16", 16]),
        ("train.checkpoint_every", [0]),
        ("decode.temperature", [0, "cold"]),
        ("semantic.classifiers", ["trained", [], ["resnet"], ["lite0x"], [3]]),
        ("realism.photographs", [49]),
        ("probes.layers", ["conv1 conv2", ["conv9"], []]),
        ("probes.unseen_source", ["world"]),
        ("legacy.most", [0]),
    ],
)
def test_a_value_out_of_range_is_named(name, wrong):
    for value in wrong:
        with pytest.raises(SettingsError, match=rf"^{name} must be [^\n]+, got [^\n]+$"):
            read(PARAMS, {name: value})


def test_numbers_may_be_written_as_people_write_them():
    settings = read(PARAMS, {"train.width": 1, "train.steps": 5e3, "train.noise": 0})
    assert (settings.train.width, settings.train.steps) == (1.0, 5000)
    assert [type(settings[f"train.{name}"]) for name in ("width", "steps", "noise")] == [float, int, float]


def with_line(tmp_path, old, new):
    text = PARAMS.read_text()
    assert text.count(old) == 1, old
    (tmp_path / "params.yaml").write_text(text.replace(old, new), encoding="utf-8")
    return tmp_path / "params.yaml"


def test_the_file_is_read_as_dvc_reads_it(tmp_path):
    """YAML 1.2: 1e-3 is a number, off is a word."""
    assert read(with_line(tmp_path, "weight_decay: 0.001", "weight_decay: 1e-3")).train.weight_decay == 1e-3
    with pytest.raises(SettingsError, match="prior.soft must be true or false, got 'off'"):
        read(with_line(tmp_path, "soft: false", "soft: off"))


@pytest.mark.parametrize(
    "text", "1e-3 .5 5. -2 +3 0 007 1_000 .inf true True yes off null ~ ~/x 12:30 0:1e-3 2026-01-01 0x1f a=b".split()
)
def test_a_value_is_what_dvc_makes_of_it(text):
    expected = load_yaml(text, "here")
    found = parse_yaml(f"a: {text}", "here")["a"]
    assert (type(found), found) == (type(expected), expected) or text in ("007", "2026-01-01", "0x1f")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  sigma: 5.0 # ab units\n", "", "encoding.sigma is missing in .*params.yaml"),
        ("  uniform_mix:", "  uniform_mx:", "there is no setting prior.uniform_mx; did you mean prior.uniform_mix"),
        ("decode:", "decoding:", "there is no setting decoding; did you mean "),
        ("decode:", "train:", "is not YAML: .*train stands twice"),
        ("decode:", "other: 3\ndecode:", "must have sections of settings, NAME: VALUE"),
    ],
)
def test_what_is_unknown_missing_or_no_yaml_is_said(tmp_path, old, new, message):
    with pytest.raises(SettingsError, match=message) as caught:
        read(with_line(tmp_path, old, new))
    assert "\n" not in str(caught.value)


def test_changes_in_words():
    words = [
        "train.width=0.5",
        "data.folder=~/Tom's $1 album (old), ü=ö",
        "data.folder=",
        "models.objectives=[rebalanced]",
    ]
    assert list(map(change, words)) == [
        ("train.width", 0.5), ("data.folder", "~/Tom's $1 album (old), ü=ö"), ("data.folder", ""),
        ("models.objectives", ["rebalanced"]),
    ]  # fmt: skip


@pytest.mark.parametrize("command", [["data"], ["page", "06_raw_accuracy"], ["train", "--accelerator", "cpu"]])
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  width: 0.125 # 1 is", "  width: abc # 1 is", "train.width must be a positive number, got 'abc'"),
        ("cosine 3e-3", "linear 3e-3", "train.schedule: a schedule is 'cosine RATE' or '0:RATE STEP:RATE ...'"),
    ],
)
def test_every_command_stops_with_one_line(tmp_path, capsys, command, old, new, message):
    assert main([*command, "--params", str(with_line(tmp_path, old, new))]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}") and error.count("\n") == 1


def test_an_option_of_data_goes_before_params(tmp_path, capsys):
    small = "--train", "3", "--val", "2", "--test", "2", "--size", "16"
    assert main(["data", *small, "--params", str(PARAMS), "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "train.json").read_text())["size"] == 16
    assert main(["data", "--size", "4", "--params", str(PARAMS), "--out", str(tmp_path)]) == 1
    assert "data.size must be a whole number, at least 8, got 4" in capsys.readouterr().err


# ---- the recipe of a training ----


def test_the_training_takes_the_recipe_whole():
    settings = read(
        PARAMS, {"train.growing": "16:0.5", "train.resized": True, "encoding.sigma": 4, "prior.uniform_mix": 1}
    )
    training = settings_of(settings, "classification")
    assert {field.name: getattr(training, field.name) for field in fields(Recipe)} == {
        name: value for name, value in asdict(settings.train).items() if name != "checkpoint_every"
    }
    assert (training.sigma, training.uniform_mix, training.objective) == (4.0, 1.0, "classification")


def test_a_page_trains_with_a_part_of_the_recipe():
    small = settings_from("regression", {"width": 0.125, "steps": 60, "checkpoint_every": 5}, 5, 5.0, 0.5)
    assert small == TrainingSettings("regression", width=0.125, steps=60)
    with pytest.raises(SettingsError, match="there is no setting train.witdh; did you mean train.width"):
        settings_from("regression", {"witdh": 0.125}, 5, 5.0, 0.5)
    with pytest.raises(SettingsError, match="^train.width must be a positive number, got 'abc'"):
        settings_from("regression", {"width": "abc"}, 5, 5.0, 0.5)


def test_the_names_are_those_that_the_library_knows():
    assert OBJECTIVES == OBJECTIVE_NAMES and set(NETWORKS) == set(NETWORK_KINDS)
    assert set(SOURCES) == set(_SOURCES) - {"voc"} and set(LAYERS) == set(ColorizationNet.depths)


# ---- the sizes in conf/ ----


def composed(size):
    """What `dvc exp run -S size=...` writes as params.yaml."""
    with initialize_config_dir(str(paths.ROOT / "conf"), version_base=None):
        return OmegaConf.to_object(compose("config", overrides=[f"size={size}"]))


def test_params_in_git_are_the_classroom_size():
    assert yaml.safe_load(PARAMS.read_text()) == composed("classroom")


@pytest.mark.parametrize("size", SIZES)
def test_every_size_has_every_setting(size, tmp_path):
    """Sizes differ in values alone, and each is one that training accepts."""
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(composed(size)))
    settings = read(tmp_path / "params.yaml")
    assert settings_of(settings, "rebalanced").steps == settings.train.steps
    assert settings.train.crop <= settings.data.size


@pytest.mark.parametrize("size", [size for size in SIZES if size != "classroom"])
def test_a_size_says_only_how_it_differs(size):
    own = yaml.safe_load((paths.ROOT / f"conf/size/{size}.yaml").read_text())
    assert own.pop("defaults") == ["classroom", "_self_"]
    classroom = composed("classroom")
    repeated = [f"{s}.{k}" for s, values in own.items() for k, value in values.items() if classroom[s][k] == value]
    assert own and not repeated

"""The pipeline at its smallest size in a clean copy of the project: once, then again with nothing to do."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from ruamel.yaml import YAML
from safetensors.torch import load_file

from repro import paths
from repro.__main__ import main
from repro.colorizer import Colorizer
from repro.datasets.world import WorldSource
from repro.pages import pipeline
from repro.pages.forecast import stage_names
from repro.pages.pipeline import page_parameters
from repro.settings import KINDS, SettingsError, Text, read
from repro.training.settings import settings_from, settings_of

LIMIT = 15  # seconds that a run with nothing to do may take


def sources():
    """Files of the project as a clone would have them, changed ones as they are now."""
    if (paths.ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=paths.ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        return [name for name in listed.stdout.split("\0") if name and (paths.ROOT / name).is_file()]
    left_out = {".venv", "outputs", "scratch", "runs", "__pycache__", ".pytest_cache"}
    files = (path.relative_to(paths.ROOT) for path in paths.ROOT.rglob("*") if path.is_file())
    return [str(path) for path in files if not left_out & set(path.parts) and path.parts[:2] != (".dvc", "cache")]


def run(command, where, **variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REPRO_")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(where),
    } | variables
    began = time.monotonic()
    result = subprocess.run(
        command,
        cwd=where,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
        stdin=subprocess.DEVNULL,
    )
    return result, time.monotonic() - began


def copy_of_the_project(where):
    for name in sources():
        (where / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(paths.ROOT / name, where / name)
    return where


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clean clone in which the smallest pipeline has run, and what it printed."""
    where = copy_of_the_project(tmp_path_factory.mktemp("clone"))
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        result, _ = run(["git", *identity, *command], where)
        assert result.returncode == 0, result.stderr
    who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
           for key, value in (("NAME", "test"), ("EMAIL", "test@localhost"))}  # fmt: skip
    result, _ = run(["dvc", "exp", "run", "-S", "size=smallest"], where, **who)
    assert result.returncode == 0, (result.stdout + result.stderr)[-6000:]
    return where


def test_every_stage_left_its_outputs(clone):
    pages = {path.name for path in (clone / "outputs/pages").iterdir()}
    assert {f"04_training_{name}.ipynb" for name in ("regression", "classification", "rebalanced")} < pages
    assert {
        "00_start_here.ipynb",
        "06_raw_accuracy.ipynb",
        "11_legacy_photos.ipynb",
        "12_results.html",
    } < pages
    results = json.loads((clone / "outputs/metrics/12_results.json").read_text())
    assert set(results["training"]) == {"regression", "classification", "rebalanced"}
    assert 0.5 < results["raw_accuracy"]["gray"]["auc"] < 1
    assert Image.open(clone / "outputs/legacy/contact_sheet.png").size[0] > 500


def test_the_size_was_composed_into_params(clone):
    assert yaml.safe_load((clone / "params.yaml").read_text())["train"]["steps"] == 4


def test_its_weights_color_a_photograph(clone):
    photo = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    assert Colorizer.load(clone / "outputs/models/rebalanced.safetensors").colorize(photo).shape == photo.shape


def test_results_page_needs_no_network(clone):
    page = (clone / "outputs/pages/12_results.html").read_text()
    assert "<img" in page and 'alt="' in page
    for line in page.splitlines():
        for tag in ("<script src=", '<link rel="stylesheet" href='):
            assert f'{tag}"http' not in line, line[:200]


def test_a_second_run_has_nothing_to_do(clone):
    result, seconds = run(["dvc", "repro"], clone)
    assert result.returncode == 0, result.stderr
    ran = re.findall(r"Running stage '(.+)'", result.stdout)
    assert ran == ["photographs"], "the folders of photographs are looked at, whatever DVC knows of them"
    assert seconds < LIMIT


def test_saving_a_page_in_jupyter_invalidates_nothing(clone):
    page = clone / "notebooks/02_soft_encoding.ipynb"
    notebook = json.loads(page.read_text())
    code = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    code |= {
        "execution_count": 7,
        "outputs": [{"output_type": "stream", "name": "stdout", "text": ["run by hand\n"]}],
    }
    notebook["metadata"]["language_info"] = {"name": "python", "version": "3.11.7"}
    page.write_text(json.dumps(notebook))
    result, _ = run(["dvc", "repro"], clone)
    assert "Running stage 'clean@02_soft_encoding'" in result.stdout
    assert "Running stage 'soft_encoding'" not in result.stdout


# ---- dvc.lock in git ----

STAND_IN = """import re, secrets, sys
from pathlib import Path
import yaml
content = yaml.safe_load(open("dvc.yaml"))
command = sys.argv[1]
for name, stage in content["stages"].items():
    items = {"clean": content["vars"][0]["pages"], "train": ["regression", "classification", "rebalanced"]}
    items = items.get(name, [""])
    for item in items:
        one = yaml.safe_load(yaml.safe_dump(stage.get("do", stage)).replace("${item}", item))
        if any(command in part for part in ([one["cmd"]] if isinstance(one["cmd"], str) else one["cmd"])):
            for out in [*one["outs"], *one.get("metrics", [])]:
                out = Path(out if isinstance(out, str) else next(iter(out)))
                if not out.suffix:
                    names = [f"{page}.{'txt' if name == 'code' else 'ipynb'}" for page in content["vars"][0]["pages"]]
                    names = names if name == "code" else ["data.txt", "unseen.txt", "legacy.txt"]
                for file in [out] if out.suffix else [out / one for one in names]:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text("listed" if name == "photographs" else secrets.token_hex())
"""


@pytest.fixture
def committed(tmp_path, monkeypatch):
    """A clone of a repository with a dvc.lock in git, without DVC's cache, whose commands are stand-ins.

    Each writes its stage's outputs at once, as different every time as executed pages are.
    """
    first = copy_of_the_project(tmp_path / "first")
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    for name in ("python", "jupyter", "nbstripout"):
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        read = {"python": 'shift 2; ask="python -m repro $*"', "jupyter": "exit 0", "nbstripout": "cat; exit 0"}[name]
        file.write_text(f'#!/bin/sh\n{read}\nexec {sys.executable} {tmp_path}/stand_in.py "$ask"\n')
        file.chmod(0o755)
    return tmp_path, first


def repro_with_stand_ins(place, where):
    path = f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"
    result, _ = run([sys.executable, "-m", "dvc", "repro"], where, PATH=path)
    assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]
    return re.findall(r"Running stage '(.+)'", result.stdout), result.stdout


@pytest.mark.slow
def test_a_fresh_clone_with_a_committed_lock_runs_every_stage(committed):
    """The lock names what a run made; a clone has none of it and no cache to take it from, so that all is made anew."""
    place, first = committed
    git = ("git", "-c", "user.name=test", "-c", "user.email=test@localhost")
    run([*git, "init", "-q"], first)
    ran, _ = repro_with_stand_ins(place, first)
    run([*git, "add", "-A"], first)
    run([*git, "commit", "-qm", "with dvc.lock"], first)
    run([*git, "clone", "-q", str(first), str(place / "clone")], place)
    assert (place / "clone/dvc.lock").is_file() and not (place / "clone/outputs").exists()
    again, told = repro_with_stand_ins(place, place / "clone")
    assert sorted(again) == sorted(ran) == sorted(stage_names()), told
    assert "is cached" not in told
    assert repro_with_stand_ins(place, place / "clone")[0] == ["photographs"], "then there is nothing to do"


# ---- a finished training of the command line is taken over ----


@pytest.mark.slow
def test_a_run_that_torchrun_finished_is_taken_over(clone):
    """Two processes train beside the pipeline; page 04 then finds their run, by the same key, and trains no step."""
    params = clone / "params.yaml"
    kept = params.read_text()
    assert "weight_decay: 0.001" in kept
    params.write_text(kept.replace("weight_decay: 0.001", "weight_decay: 2e-3"))
    command = ["torchrun", "--nproc-per-node", "2", "-m", "repro", "train", "--accelerator", "cpu"]
    result, _ = run(command, clone, OMP_NUM_THREADS="1")
    assert result.returncode == 0 and "2 processes" in result.stdout, (result.stdout + result.stderr)[-3000:]
    (folder,) = (clone / "runs").iterdir()
    weights = load_file(folder / "best.safetensors")
    result, _ = run(["dvc", "repro", "--single-item", "train@rebalanced"], clone)
    assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]
    assert "rebalanced: continuing at step 4, 4 steps" in result.stdout + result.stderr
    assert not folder.exists(), "the page works on another run"
    taken = load_file(clone / "outputs/models/rebalanced.safetensors")
    assert all(torch.equal(taken[name], weights[name]) for name in weights)
    params.write_text(kept)


# ---- every stage's command, without the pipeline: the values that reach a page ----

STAGES = YAML(typ="safe").load((paths.ROOT / "dvc.yaml").read_text())["stages"]
PAGES = {
    re.search(r"repro page (\w+)", str(stage["cmd"]))[1]: stage
    for stage in (stage.get("do", stage) for stage in STAGES.values())
    if "repro page" in str(stage["cmd"])
}
NASTY = '~/Tom\'s $1 album (old), a=b & "Fü\\ße" #1: `x` ${HOME} %s'


CHANGED = {
    "models.objectives": ["regression"],
    "train.initialization": f"{NASTY}/OBJECTIVE.safetensors",
    "train.growing": "16:0.5 32:0.75",
    "train.schedule": "cosine 1e-3",
    "semantic.classifiers": ["trained", f"hub:{NASTY}", "hub:"],
    "probes.layers": ["conv8"],
}


def nasty(name, kind, value):
    """Another value of a setting, as hard to carry as its kind can be."""
    others = {bool: not value, float: 1e-3}
    return CHANGED.get(name, NASTY if kind == Text else others.get(kind.__origin__, value))


@pytest.fixture(params=["params.yaml", "nasty.yaml"])
def params(request, tmp_path, monkeypatch):
    """(file, its values as plain YAML): the project's own, and the same with every value as hard as can be."""
    outputs = tmp_path / "outputs"
    monkeypatch.setattr(paths, "OUTPUTS", outputs)
    shutil.copytree(paths.NOTEBOOKS, outputs / "clean")
    values = YAML(typ="safe").load((paths.ROOT / "params.yaml").read_text())
    if request.param == "nasty.yaml":
        for section, kinds in KINDS.items():
            for name, kind in kinds.items():
                values[section][name] = nasty(f"{section}.{name}", kind, values[section][name])
    with open(tmp_path / request.param, "w", encoding="utf-8") as file:
        YAML().dump(values, file)
    return tmp_path / request.param, values


def commands(page, objectives):
    """The commands of a page's stage, as DVC gives them to the shell."""
    cmd = PAGES[page]["cmd"]
    cmd = cmd if isinstance(cmd, str) else next(line for line in cmd if "repro page" in line)
    return [cmd.replace("${item}", name) for name in objectives] if "${item}" in cmd else [cmd]


def injected(page):
    """{name: value} of the cell that papermill wrote."""
    cells = json.loads(page.read_text())["cells"]
    (cell,) = [cell for cell in cells if "injected-parameters" in cell["metadata"].get("tags", [])]
    values = {}
    exec("".join(cell["source"]), values)
    return {name: value for name, value in values.items() if name != "__builtins__"}


def same_type(value, default):
    if isinstance(default, dict):
        return isinstance(value, dict) and all(same_type(value[name], default[name]) for name in default)
    if isinstance(default, list):
        return isinstance(value, list) and all(same_type(item, default[0]) for item in value)
    return type(value) is type(default)


@pytest.mark.parametrize("page", PAGES)
def test_what_params_yaml_says_reaches_the_page_in_its_type(page, params):
    file, values = params
    for command in commands(page, values["models"]["objectives"]):
        python, flag, module, *arguments = shlex.split(command)
        assert (python, flag, module) == ("python", "-m", "repro")
        assert main([*arguments, "--params", str(file), "--prepare-only"]) == 0
        objective = arguments[arguments.index("--objective") + 1] if "--objective" in arguments else None
        found = injected(paths.OUTPUTS / f"pages/{page}{f'_{objective}' if objective else ''}.ipynb")
        assert found.pop("pipeline") is True and found.pop("objective", None) == objective
        defaults = page_parameters(paths.NOTEBOOKS / f"{page}.ipynb")
        for setting in PAGES[page]["params"]:
            section, _, key = setting.partition(".")
            value = found.pop(key or section)
            assert value == (values[section][key] if key else values[section]), setting
            assert same_type(value, defaults[key or section]), setting
        assert not found


def test_the_command_trains_what_the_page_trains(params):
    """The run's key is the same from both sides."""
    file, _ = params
    settings = read(file)
    for objective in settings.models.objectives:
        assert main(["page", "04_training", "--objective", objective, "--params", str(file), "--prepare-only"]) == 0
        found = injected(paths.OUTPUTS / f"pages/04_training_{objective}.ipynb")
        recipe = (found[name] for name in ("train", "neighbours", "sigma", "uniform_mix"))
        assert settings_from(objective, *recipe).key() == settings_of(settings, objective).key()


def test_every_page_is_a_stage():
    assert set(PAGES) == {path.stem for path in paths.NOTEBOOKS.glob("*.ipynb")}
    assert yaml.safe_load((paths.ROOT / "dvc.yaml").read_text())["vars"] == [{"pages": sorted(PAGES)}]


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (
            ["evaluate.photographs", "decode.temperature", "train.sed"],
            "there is no setting train.sed; did you mean train.seed",
        ),
        (
            ["evaluate.photographs", "decode.temperature", "prior.soft", "train.seed"],
            "soft is not in its parameters cell",
        ),
        (["evaluate.photographs", "decode.temperature"], "seed is not set by its stage"),
        (["evaluate.photographs", "decode.photographs", "decode.temperature", "train.seed"], "sets a parameter twice"),
    ],
)
def test_a_stage_that_does_not_fit_its_page_stops(listed, message, monkeypatch):
    """papermill only warns about an unknown name, so it would go unseen."""
    monkeypatch.setattr(pipeline, "stage_settings", lambda page: listed)
    page = paths.NOTEBOOKS / "06_raw_accuracy.ipynb"
    with pytest.raises(SettingsError, match=message):
        pipeline.values_for(page, read(paths.ROOT / "params.yaml"))


# ---- a folder with a difficult name ----

ALBUM = "Tom's $1 album (old)"


@pytest.fixture
def album(tmp_path):
    """A folder of that name with 20 painted photographs."""
    folder = tmp_path / ALBUM
    folder.mkdir()
    for number, photo in enumerate(WorldSource().bulk("train", size=32, limit=60)[0]):
        Image.fromarray(photo).save(folder / f"{number}.png")
    return folder


def test_readmes_command_for_a_folder_with_a_difficult_name(album, tmp_path):
    """As README writes it, for the shell: what is prepared then comes from this folder."""
    (line,) = [
        line for line in (paths.ROOT / "README.md").read_text().splitlines() if "album (old)" in line and "dvc" in line
    ]
    where = copy_of_the_project(tmp_path / "clone")
    git = "git -c user.name=test -c user.email=test@localhost"
    command = line.replace(".venv/bin/", "").replace("/home/me", str(album.parent))
    result, _ = run(["bash", "-c", f"git init -q && git add -A && {git} commit -qm all && {command} data"], where,
                    GIT_AUTHOR_NAME="test", GIT_AUTHOR_EMAIL="test@localhost",
                    GIT_COMMITTER_NAME="test", GIT_COMMITTER_EMAIL="test@localhost")  # fmt: skip
    assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]
    assert read(where / "params.yaml").data.folder == str(album)
    assert json.loads((where / "outputs/data/train.json").read_text())["settings"]["root"] == str(album)


# ---- what a stage depends on ----


def stage_file(kind, page):
    return f"outputs/{kind}/{page}.{'txt' if kind == 'code' else 'ipynb'}"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_depends_on_its_cleaned_copy_and_on_the_code_it_uses(page):
    deps = PAGES[page]["deps"]
    assert {f"outputs/clean/{page}.ipynb", f"outputs/code/{page}.txt"} <= set(deps)
    assert "repro" not in deps and ("repro/study/static" in deps) == (page == "08_perceptual_realism")


def used(page):
    return {file.relative_to(paths.ROOT).as_posix() for file in pipeline.used_by(paths.NOTEBOOKS / f"{page}.ipynb")}


def test_the_list_has_every_file_that_python_loads():
    """Each page's first cell is run, and what it loaded is compared with what was found by reading imports."""
    script = """if 1:
        import json, sys
        for page in sys.argv[1:]:
            for name in [name for name in sys.modules if name.split(".")[0] == "repro"]:
                del sys.modules[name]
            cells = json.load(open(page))["cells"]
            exec("".join(next(cell for cell in cells if cell["cell_type"] == "code")["source"]), {})
            print(*(m.__file__ for name, m in sorted(sys.modules.items()) if name.split(".")[0] == "repro"), sep="\\t")
    """
    pages = [str(paths.NOTEBOOKS / f"{page}.ipynb") for page in PAGES]
    result = subprocess.run([sys.executable, "-c", script, *pages], capture_output=True, text=True, check=True)
    for page, line in zip(PAGES, result.stdout.splitlines(), strict=True):
        loaded = {Path(file).relative_to(paths.ROOT).as_posix() for file in line.split("\t")}
        not_followed = {f"repro/{name.replace('.', '/')}.py" for name in pipeline.NOT_FOLLOWED.get(page, ())}
        assert loaded - not_followed <= used(page), page


def test_an_edit_reruns_what_uses_the_edited_file():
    assert {page for page in PAGES if "repro/study/stimuli.py" in used(page)} == {"08_perceptual_realism"}
    assert not [
        page
        for page in PAGES
        if {"repro/__main__.py", "repro/commands/train.py", "repro/pages/pipeline.py"} & used(page)
    ]
    decodes = {"04_training", "05_decoding", "06_raw_accuracy", "07_semantic_interpretability", "11_legacy_photos"}
    assert decodes <= {page for page in PAGES if "repro/decoding.py" in used(page)}
    assert {"repro/evaluation/known_world.py", "repro/evaluation/raw_accuracy.py"} < used("04_training")  # its metrics


def test_what_only_draws_trains_nothing_anew():
    names = [name.replace(".", "/") for name in pipeline.NOT_FOLLOWED["04_training"]]
    assert all((paths.ROOT / f"repro/{name}.py").is_file() for name in names)
    assert not {f"repro/{name}.py" for name in names} & used("04_training")


def test_the_list_tells_one_edit_from_another(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", copy_of_the_project(tmp_path))
    monkeypatch.setattr(paths, "OUTPUTS", tmp_path / "outputs")
    shutil.copytree(tmp_path / "notebooks", tmp_path / "outputs/clean")

    def lists():
        pipeline.write_code(tmp_path / "outputs/code")
        return {path.stem: path.read_text() for path in (tmp_path / "outputs/code").iterdir()}

    def changed(name, addition):
        before = lists()
        with open(tmp_path / name, "a") as file:
            file.write(addition)
        return {page for page, text in lists().items() if text != before[page]}

    assert set(lists()) == set(PAGES)
    assert changed("repro/study/static/study.css", "/* wider */\n") == set()
    assert changed("repro/study/server.py", "# a note\n") == {"08_perceptual_realism"}
    assert changed("repro/pages/learning.py", "# a note\n") == set(PAGES) - {"04_training"}
    assert (
        changed("repro/evaluation/baselines.py", "# a note\n")
        == {page for page in PAGES if "repro/evaluation/baselines.py" in used(page)}
        < set(PAGES)
    )

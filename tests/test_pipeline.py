"""The pipeline at its smallest size in a clean copy of the project: once, then again with nothing to do."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from repro import paths
from repro.colorizer import Colorizer

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
    return [
        str(path) for path in files if not left_out & set(path.parts) and path.parts[:2] != (".dvc", "cache")
    ]


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
        timeout=900,
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
    result, _ = run(["dvc", "exp", "run", "-S", "size=smallest"], where, GIT_AUTHOR_NAME="test", GIT_AUTHOR_EMAIL="test@localhost",
                    GIT_COMMITTER_NAME="test", GIT_COMMITTER_EMAIL="test@localhost")  # fmt: skip
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
    assert (
        Colorizer.load(clone / "outputs/models/rebalanced.safetensors").colorize(photo).shape == photo.shape
    )


def test_results_page_needs_no_network(clone):
    page = (clone / "outputs/pages/12_results.html").read_text()
    assert "<img" in page and 'alt="' in page
    for line in page.splitlines():
        for tag in ("<script src=", '<link rel="stylesheet" href='):
            assert f'{tag}"http' not in line, line[:200]


def test_a_second_run_has_nothing_to_do(clone):
    result, seconds = run(["dvc", "repro"], clone)
    assert result.returncode == 0, result.stderr
    assert "up to date" in result.stdout and "Running stage" not in result.stdout
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


def test_params_in_git_are_the_classroom_size():
    composed = yaml.safe_load((paths.ROOT / "conf/size/classroom.yaml").read_text())
    assert yaml.safe_load((paths.ROOT / "params.yaml").read_text()) == composed


@pytest.mark.parametrize(
    "size", sorted((paths.ROOT / "conf/size").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_size_has_every_setting(size):
    """Sizes differ in values alone, and each is one that training accepts."""
    from repro.training.settings import settings_of

    settings, classroom = (
        yaml.safe_load(path.read_text()) for path in (size, size.with_name("classroom.yaml"))
    )
    assert {section: set(values) for section, values in settings.items()} == {
        section: set(values) for section, values in classroom.items()
    }
    assert settings_of(settings, "rebalanced").steps == settings["train"]["steps"]
    assert settings["train"]["crop"] <= settings["data"]["size"]

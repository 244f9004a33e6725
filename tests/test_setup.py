"""`make` on machines that differ from this one, played with stand-ins: nothing is installed here."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from repro.paths import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
pytestmark = pytest.mark.skipif(
    not (shutil.which("make") and shutil.which("bash") and shutil.which("git")),
    reason="needs make, bash and git",
)


@pytest.fixture
def copy(tmp_path):
    """The files that `make` looks at, in a folder with a space in its name."""
    folder = tmp_path / "a copy"
    (folder / ".dvc").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def make(folder, *arguments, path=None, **environment):
    """Run make there; the outer make's variables stay outside."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "GIT_", "PYTHON"))
    }
    kept |= {"PATH": path or os.environ["PATH"], "GIT_CEILING_DIRECTORIES": str(folder.parent), **environment}
    return subprocess.run(["make", *arguments], cwd=folder, env=kept, capture_output=True, text=True, timeout=300)


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def ready(folder, dvc="exit 0"):
    """A stand-in for a finished .venv: this Python, and a dvc that notes how it was called."""
    bin = folder / ".venv" / "bin"
    script(bin / "python", f'exec "{sys.executable}" "$@"')
    script(bin / "dvc", f'echo "dvc $*" >> "{folder}/calls"; {dvc}')
    (folder / ".venv" / ".ready").write_text(f"{folder}\n")
    return folder


def tools_without_python(tmp_path):
    """A PATH with what the Makefile uses, but no Python of any name."""
    bin = tmp_path / "bin"
    bin.mkdir()
    for name in (
        "bash",
        "sh",
        "make",
        "git",
        "sed",
        "cat",
        "rm",
        "test",
        "echo",
        "touch",
        "grep",
        "tee",
        "tail",
    ):
        if shutil.which(name):
            (bin / name).symlink_to(shutil.which(name))
    return bin


# ---- help ----


def test_help_comes_first_and_lists_every_target(copy):
    shown = make(copy).stdout
    targets = set(re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.M)[1].split()) - {"scm"}
    assert set(re.findall(r"^make (\w+)", shown, re.M)) == targets
    assert all(len(line) < 140 for line in shown.splitlines())
    assert not (copy / ".venv").exists()


@pytest.mark.parametrize("target", ["setup", "repro", "test", "lint", "lab", "bench", "lock", "clean", "distclean"])
def test_every_target_can_be_rehearsed(copy, target):
    rehearsal = make(copy, "-n", target)
    assert rehearsal.returncode == 0, rehearsal.stderr
    assert rehearsal.stdout


@pytest.mark.parametrize("target", ["repro", "test", "lint", "lab", "bench"])
def test_every_command_sets_up_first(copy, target):
    assert "pip install" in make(copy, "-n", target).stdout
    assert "pip install" not in make(ready(copy), "-n", target).stdout


# ---- finding Python ----


def test_no_python_is_one_clear_line(copy, tmp_path):
    failed = make(copy, "setup", path=str(tools_without_python(tmp_path)))
    assert failed.returncode
    assert [line for line in failed.stderr.splitlines() if "make" not in line.split(":")[0]] == [
        "There is no Python 3.11 or newer here: install one, or name it: make setup PYTHON=/path/to/python3.12"
    ]
    assert not (copy / ".venv").exists()


def test_an_old_python_is_one_clear_line(copy, tmp_path):
    bin = tools_without_python(tmp_path)
    for name in (
        "python3",
        "python3.13",
    ):  # python3.13: a name without an interpreter behind it, as pyenv leaves them
        script(bin / name, "exit 1")
    failed = make(copy, "setup", path=str(bin))
    assert failed.returncode
    assert "There is no Python 3.11 or newer here" in failed.stderr
    named = make(copy, "setup", PYTHON=str(bin / "python3"))
    assert named.returncode
    assert f"{bin / 'python3'} is not Python 3.11 or newer" in named.stderr


def test_a_python_without_venv_says_what_to_install(copy, tmp_path):
    bin = tools_without_python(tmp_path)
    script(bin / "python3.11", 'case "$*" in *ensurepip*) exit 1;; esac')
    failed = make(copy, "setup", path=str(bin))
    assert failed.returncode
    assert "python3-venv" in failed.stderr


def test_the_next_python_is_taken_when_one_lacks_venv(copy, tmp_path):
    bin = tools_without_python(tmp_path)
    script(bin / "python3.13", 'case "$*" in *ensurepip*) exit 1;; esac')
    script(bin / "python3.12", f'echo "3.12 $*" >> "{tmp_path}/calls"; case "$*" in *"-m venv"*) exit 1;; esac')
    make(copy, "setup", path=str(bin))
    assert "3.12 -m venv --clear .venv" in (tmp_path / "calls").read_text()


# ---- when .venv is made anew ----


def pip_that(folder, succeeds, says="a line of pip"):
    """Replace the stand-in Python by one that plays pip."""
    code = 0 if succeeds else 1
    script(
        folder / ".venv" / "bin" / "python",
        f'case "$*" in *"pip install"*) echo "pip install" >> "{folder}/calls"; echo "{says}"; exit {code};; esac\n'
        f'exec "{sys.executable}" "$@"',
    )


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements.lock"])
def test_a_newer_input_makes_the_environment_stale(copy, name):
    ready(copy)
    stamp = (copy / ".venv" / ".ready").stat().st_mtime
    for file, age in (("pyproject.toml", 10), ("requirements.lock", 10), (name, -10)):
        os.utime(copy / file, (stamp - age, stamp - age))
    pip_that(copy, succeeds=True)
    assert make(copy, "setup").returncode == 0
    assert (copy / "calls").read_text().split("\n")[0] == "pip install"


def test_a_moved_folder_is_set_up_again(copy):
    moved = ready(copy).rename(copy.with_name("moved"))
    assert "pip install" in make(moved, "-n", "test").stdout


def test_a_python_that_no_longer_starts_is_replaced(copy):
    script(ready(copy) / ".venv" / "bin" / "python", "exit 127")
    assert "-m venv --clear .venv" in make(copy, "-n", "test").stdout


def test_a_failed_installation_shows_the_end_of_the_log_and_leaves_no_stamp(copy):
    ready(copy)
    (copy / ".venv" / ".ready").write_text("elsewhere\n")
    pip_that(copy, succeeds=False)
    failed = make(copy, "setup")
    assert failed.returncode
    assert "a line of pip" in failed.stderr and "setup.log" in failed.stderr
    assert not (copy / ".venv" / ".ready").exists()
    assert "The disk is full" not in failed.stderr


def test_a_full_disk_is_named(copy):
    ready(copy)
    (copy / ".venv" / ".ready").write_text("elsewhere\n")
    pip_that(copy, succeeds=False, says="OSError: [Errno 28] No space left on device")
    assert "The disk is full: .venv needs about" in make(copy, "setup").stderr


# ---- with and without git ----


def test_a_source_archive_is_detected_once(copy):
    told = make(ready(copy, dvc=f'printf "[core]\\n    no_scm = true\\n" > "{copy}/.dvc/config.local"'), "scm")
    assert told.returncode == 0, told.stderr
    assert "no git repository of its own" in told.stdout
    assert (copy / "calls").read_text() == "dvc config --local core.no_scm true\n"
    assert make(copy, "scm").stdout == ""
    assert (copy / "calls").read_text().count("\n") == 1


def test_an_archive_inside_another_repository_is_detected(copy):
    subprocess.run(["git", "init", "-q", str(copy.parent)], check=True)
    make(ready(copy), "scm", GIT_CEILING_DIRECTORIES="")
    assert "no_scm true" in (copy / "calls").read_text()


def test_a_clone_is_left_alone(copy):
    subprocess.run(["git", "init", "-q", str(copy)], check=True)
    assert make(ready(copy), "scm").stdout == ""
    assert not (copy / "calls").exists()


def test_a_clone_of_another_user_is_no_archive(copy):
    """git does not answer in it until its user trusts it; afterwards nothing is left of that."""
    subprocess.run(["git", "init", "-q", str(copy)], check=True)
    (copy / ".git" / "config").write_text("[core]\n\trepositoryformatversion = 99\n")  # git refuses this one, too
    refused = make(ready(copy), "scm")
    assert refused.returncode and "git does not work here: fatal: " in refused.stderr
    assert f"safe.directory '{copy}'" in refused.stderr
    assert not (copy / "calls").exists()


def test_an_archive_that_became_a_repository_is_one(copy):
    ready(copy)
    (copy / ".dvc").mkdir(exist_ok=True)
    (copy / ".dvc" / "config.local").write_text("[core]\n    no_scm = true\n")
    subprocess.run(["git", "init", "-q", str(copy)], check=True)
    assert make(copy, "scm").returncode == 0
    assert (copy / "calls").read_text() == "dvc config --local --unset core.no_scm\n"


# ---- the commands ----


def test_repro_hands_arguments_on_and_says_what_to_open(copy):
    subprocess.run(["git", "init", "-q", str(copy)], check=True)
    done = make(ready(copy), "repro", "ARGS=--force results")
    assert done.returncode == 0, done.stderr
    assert (copy / "calls").read_text().splitlines()[-1] == "dvc repro --force results"
    assert "outputs/pages/12_results.html" in done.stdout.splitlines()[-1]


def test_a_failing_stage_fails_make(copy):
    subprocess.run(["git", "init", "-q", str(copy)], check=True)
    assert make(ready(copy, dvc="exit 3"), "repro").returncode


def test_stages_find_the_environments_programs_first(copy):
    subprocess.run(["git", "init", "-q", str(copy)], check=True)
    ready(
        copy,
        dvc=f'command -v python > "{copy}/python"; echo "$VIRTUAL_ENV:$PYTHONPATH:$PYTHONHOME" > "{copy}/variables"',
    )
    make(copy, "repro", PYTHONPATH="/somewhere", PYTHONHOME="")
    assert (copy / "python").read_text().strip() == str(copy / ".venv" / "bin" / "python")
    assert (copy / "variables").read_text().strip() == f"{copy}/.venv::"


def test_ci_runs_the_command_of_the_readme():
    ci = ROOT / ".ci" / "run"
    assert os.access(ci, os.X_OK)
    assert "set -euo pipefail" in ci.read_text()
    assert re.search(r"^exec make .*\btest$", ci.read_text(), re.M)

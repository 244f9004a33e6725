"""pyproject.toml, requirements.lock, environment.yml and the licences say the same thing, each in its own way."""

import importlib
import json
import os
import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from repro import __version__
from repro.paths import DATA, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
ALL = Requirement(
    *EXTRAS["all"]
).extras  # what `make setup` installs, with "test" and "site"; the others are the user's choice
REQUIREMENTS = [
    Requirement(text)
    for texts in (PROJECT["dependencies"], *map(EXTRAS.get, sorted(ALL | {"test", "site"})))
    for text in texts
]
LOCK = (ROOT / "requirements.lock").read_text()
PINS = {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)$", LOCK, re.M)}
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
CONDA_PIP = next(entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict))
REGISTRY = json.loads((DATA / "registry.json").read_text())


def by_name(requirements):
    return {canonicalize_name(requirement.name): requirement.specifier for requirement in requirements}


def test_conda_users_get_the_pins_and_everything():
    assert CONDA_PIP == ["-c requirements.lock", "-e .[all,test,site]"]


def test_everything_is_every_extra_but_the_users_choice():
    assert EXTRAS.keys() - ALL == {"all", "test", "site", "encoder", "timm"}
    assert len(by_name(REQUIREMENTS)) == len(REQUIREMENTS), "a package stands in one place only"


def test_make_installs_everything_and_the_lock_holds_it():
    makefile = (ROOT / "Makefile").read_text()
    assert set(re.findall(r"\.\[([a-z,]+)\]", makefile + LOCK)) == {"all,test,site"}


@pytest.mark.parametrize("name", sorted(PINS))
def test_a_pin_can_be_had_for_the_oldest_python(name):
    """Debian 12 has 3.11.2: one package that wants 3.11.5 there, and nothing can be installed at all."""
    try:
        wanted = metadata(name).get("Requires-Python")
    except PackageNotFoundError:
        pytest.skip("not installed here")
    oldest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    assert wanted is None or SpecifierSet(wanted).contains(oldest)


def test_conda_users_get_the_same_python():
    assert f"python{PROJECT['requires-python']}" in CONDA["dependencies"]
    assert "nodefaults" in CONDA["channels"]


def test_binder_gets_conda_forges_torch_and_the_rest_by_the_lock():
    binder = yaml.safe_load((ROOT / ".binder/environment.yml").read_text())
    python = next(entry for entry in binder["dependencies"] if entry.startswith("python"))
    assert Version(python.split("=")[1]) in Requirement("python" + PROJECT["requires-python"]).specifier
    torch = next(entry for entry in binder["dependencies"] if entry.startswith("pytorch-cpu"))
    assert Requirement(torch).specifier == by_name(REQUIREMENTS)["torch"] and "nodefaults" in binder["channels"]


def test_a_torch_that_is_there_stays(tmp_path):
    """What Binder and Colab run, with a pip that only tells what it is given."""
    told = tmp_path / "told"
    fake = tmp_path / "python"
    fake.write_text(f'#!/bin/sh\nif [ "$1" = -c ]; then echo 9.9.9; exit; fi\necho "$@" > {told}\ncat "$8" >> {told}\n')
    fake.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["bash", ROOT / ".binder/postBuild"], env=environment, check=True)
    command, *pins = told.read_text().splitlines()
    assert command.startswith("-m pip install") and command.endswith("-e .[all]")
    assert "torch==9.9.9" in pins and f"numpy=={PINS['numpy']}" in pins
    assert [line for line in pins if line.startswith("torch==")] == ["torch==9.9.9"]


def colab():
    """The code cells of the notebook for Colab."""
    cells = json.loads((ROOT / "docs/colab.ipynb").read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_colab_asks_for_the_address_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    exec(re.sub('".*?"', '""', colab()[0]), namespace)
    with pytest.raises(SystemExit, match="Write the repository's address"):
        exec(colab()[1], namespace)


def test_colab_clones_sets_up_and_runs_a_page(tmp_path, monkeypatch):
    """On a repository with one small page, whose set-up leaves a mark instead of installing."""
    page = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "source": "print(6 * 7)",
    }
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    origin = tmp_path / "origin"
    for name, text in {
        ".binder/postBuild": "touch set-up",
        "notebooks/00_start_here.ipynb": json.dumps(
            {"cells": [page], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
        ),
    }.items():
        (origin / name).parent.mkdir(parents=True)
        (origin / name).write_text(text)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one page"]):
        subprocess.run(git + command, cwd=origin, check=True)
    monkeypatch.chdir(tmp_path)
    first, *cells = colab()
    namespace = {}
    exec(re.sub('".*?"', repr(origin.as_uri()), first), namespace)
    for cell in cells:
        exec(cell, namespace)
    assert (tmp_path / "set-up").exists()
    assert "42" in (tmp_path / "colorization/notebooks/page_executed.html").read_text()


@pytest.fixture
def links(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    return importlib.import_module("links")


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        ("https://github.com/ada/colour.git", "ada/colour"),
        ("https://github.com/ada/colour.of.1900/", "ada/colour.of.1900"),
        ("git@github.com:ada/colour", "ada/colour"),
        ("ssh://git@github.com/ada/colour.git", "ada/colour"),
        ("https://elsewhere.org/ada/colour.git", None),
        ("/home/ada/colour", None),
        (None, None),
    ],
)
def test_the_address_is_that_of_the_copy(remote, expected, links, tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    if remote:
        subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", remote], check=True)
    assert links.address(tmp_path) == expected
    monkeypatch.setenv("GITHUB_REPOSITORY", "grace/hopper")
    assert links.address(tmp_path) == "grace/hopper"


def test_links_open_the_copy_and_are_absent_without_one(links):
    readme = (ROOT / "README.md").read_text()
    assert "links.py" not in links.with_links(readme, None) and "mybinder" not in links.with_links(readme, None)
    filled = links.with_links(readme, "ada/colour")
    assert "(https://mybinder.org/v2/gh/ada/colour/HEAD?urlpath=lab/tree/notebooks/00_start_here.ipynb)" in filled
    assert "github/ada/colour/blob/main/docs/colab.ipynb" in filled and "OWNER" not in filled
    assert 'git+https://github.com/ada/colour"' in filled
    assert links.with_links(filled, "ada/moved").count("ada/moved") == 3, "a copy that moved is written anew"
    notebook = json.loads(links.with_address((ROOT / "docs/colab.ipynb").read_text(), "ada/colour"))
    assert "".join(notebook["cells"][1]["source"]).startswith('repository = "https://github.com/ada/colour"  #')


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.name)
def test_the_pin_of_a_dependency_is_within_its_range(requirement):
    assert PINS[canonicalize_name(requirement.name)] in requirement.specifier


def test_the_lock_holds_exact_public_versions_and_no_address():
    lines = [line for line in LOCK.splitlines() if not line.startswith("#")]
    assert len(lines) == len(PINS)  # every line is a pin, and no package has two
    assert "://" not in LOCK and "@" not in LOCK
    assert all(Version(version).local is None for version in PINS.values())
    assert canonicalize_name(PROJECT["name"]) not in PINS


def test_what_is_needed_here_is_what_is_installed_here():
    """Where the environment was made by `make`.

    A deliberate other version (a GPU build, say) has another public version only rarely.
    """
    from importlib.metadata import version

    floors = [requirement for requirement in REQUIREMENTS if version(requirement.name) not in requirement.specifier]
    assert not floors, (
        f"outside pyproject.toml's ranges: {[str(requirement) for requirement in floors]}; run `make setup`"
    )


def test_the_version_is_stated_once_or_alike():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert "version" in PROJECT["dynamic"]
    assert citation["version"] == __version__
    assert citation["license"] == PROJECT["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")


@pytest.mark.parametrize("source", REGISTRY)
def test_the_table_of_data_names_each_source_with_its_licence(source):
    rows = re.findall(rf"^\| `{source}` \|.*\| (.*) \|$", (DATA / "README.md").read_text(), re.M)
    assert len(rows) == 1, f"data/README.md must have one row for {source}"
    first_words = " ".join(REGISTRY[source]["licence"].split()[:3])
    assert rows[0].startswith(first_words)


def test_the_table_of_data_names_no_other_source():
    assert set(re.findall(r"^\| `(\w+)` \|", (DATA / "README.md").read_text(), re.M)) == set(REGISTRY)

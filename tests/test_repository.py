"""What stands beside the code: the workflows of GitHub, the forms of its issues, CONTRIBUTING and CHANGELOG."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from repro import __version__
from repro.paths import ROOT

GITHUB = ROOT / ".github"
SCHEMAS = {  # check-jsonschema brings them along, so that no network is needed
    "github-workflows": sorted(GITHUB.glob("workflows/*.yml")),
    "github-issue-forms": sorted(set(GITHUB.glob("ISSUE_TEMPLATE/*.yml")) - {GITHUB / "ISSUE_TEMPLATE/config.yml"}),
    "github-issue-config": [GITHUB / "ISSUE_TEMPLATE/config.yml"],
    "citation-file-format": [ROOT / "CITATION.cff"],
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_github_can_read_it(schema):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *SCHEMAS[schema]]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff_finds_nothing(command):
    """What `make lint` does."""
    checked = subprocess.run([sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def workflow(name):
    return yaml.safe_load((GITHUB / f"workflows/{name}.yml").read_text())


def commands(job):
    return [step["run"] for step in job["steps"] if "run" in step]


def test_readmes_two_commands_run_on_every_system_and_python():
    (job,) = workflow("test")["jobs"].values()
    two = re.search(r"## Two commands.*?```\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1].splitlines()
    assert commands(job) == two == ["make repro", "make test"]
    matrix = job["strategy"]["matrix"]
    assert matrix == {"system": ["ubuntu-latest", "macos-latest"], "python": ["3.11", "3.12", "3.13"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">={matrix['python'][0]}"


def test_the_site_is_built_of_executed_pages_and_published():
    build, publish = workflow("pages")["jobs"].values()
    assert commands(build) == ["make repro", "make site"]
    assert build["steps"][-1]["with"]["path"] == "outputs/site"
    assert publish["needs"] == "build" and publish["permissions"] == {"pages": "write", "id-token": "write"}


def test_a_workflow_may_do_no_more_than_it_must():
    for file in SCHEMAS["github-workflows"]:
        content = yaml.safe_load(file.read_text())
        assert content["permissions"] in ({}, {"contents": "read"}), file.name
        for job in content["jobs"].values():
            assert job["timeout-minutes"] <= 120
            assert all(re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in job["steps"] if "uses" in step)


def test_changelog_begins_with_this_version():
    versions = re.findall(r"^## (\S+) \(\d{4}-\d\d-\d\d\)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert versions[0] == __version__ and len(set(versions)) == len(versions)


def test_contributing_names_what_there_is():
    named = set(re.findall(r"`([^`\n]+)`", (ROOT / "CONTRIBUTING.md").read_text()))
    files = {name for name in named if re.fullmatch(r"[\w.]*(/[\w.]*)+|[\w]+\.(md|py|yaml|toml|lock)", name)}
    files -= {"notebooks/NN_name.ipynb", ".venv/"}
    assert len(files) > 20 and not [name for name in files if not (ROOT / name).exists()]
    code = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "repro").rglob("*.py"))
    names = {name for name in named if re.fullmatch(r"_?[A-Z]\w*(\.\w+)?|_\w+|\w+\(\w+\)|open_\w+", name)} - {"ARGS"}
    words = set(re.findall(r"\w+", code))
    assert len(names) > 8 and not [name for name in names if not set(re.findall(r"\w+", name)) <= words]

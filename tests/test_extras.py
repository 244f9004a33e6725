"""The package alone colours photographs; a command that needs an extra says so in one line."""

import ast
import os
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

from repro.extras import BRINGS, what_to_install
from repro.paths import ROOT
from tests.test_environment import EXTRAS, PROJECT

USERS_CHOICE = {"timm"}  # where it is missing, page 07 says what to install


def brought_by(requirements):
    """The distributions, by name, that an installation of some requirements brings along."""
    found, waiting = set(), [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        found.add(name)
        try:
            waiting += map(Requirement, metadata.requires(name) or [])
        except metadata.PackageNotFoundError:
            pass  # not for this platform
    return found


BASE = brought_by(PROJECT["dependencies"])
PROVIDERS = {module: set(map(canonicalize_name, names)) for module, names in metadata.packages_distributions().items()}
BLOCKED = sorted(module for module, names in PROVIDERS.items() if not names & (BASE | {"repro", "setuptools"}))


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Runs Python as if nothing but the package's own dependencies were installed."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({BLOCKED}))\n")
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}

    def run(*arguments):
        return subprocess.run([sys.executable, *arguments], env=environment, cwd=folder, capture_output=True, text=True)

    return run


def test_what_the_package_itself_needs_is_little():
    assert {Requirement(text).name for text in PROJECT["dependencies"]} == {
        "torch", "numpy", "scipy", "pillow", "tifffile", "safetensors", "pyyaml", "jaxtyping"
    }  # fmt: skip
    assert {"matplotlib", "jupyterlab", "dvc", "transformers", "skimage", "sklearn"} <= set(BLOCKED)


@pytest.mark.slow
def test_the_colouriser_needs_no_extra(python):
    colored = python(
        "-c",
        "import numpy\n"
        "from repro.colorizer import Colorizer\n"
        "photo = numpy.arange(40 * 50, dtype='uint8').reshape(40, 50)\n"
        "print(Colorizer.load().colorize(photo).shape)",
    )
    assert colored.stdout == "(40, 50, 3)\n", colored.stderr


@pytest.mark.slow
def test_the_command_that_colours_needs_no_extra(python, tmp_path):
    Image.fromarray(np.arange(40 * 50, dtype=np.uint8).reshape(40, 50)).save(tmp_path / "gray.png")
    ran = python("-m", "repro", "colorize", str(tmp_path / "gray.png"), "--out", str(tmp_path / "out"))
    assert ran.returncode == 0, ran.stderr
    assert Image.open(tmp_path / "out/gray.png").size == (50, 40)


PARAMS = ROOT / "params.yaml"
LACKING = {  # a command -> the extra that it lacks
    f"data --source bundled --params {PARAMS} --out OUT": "train",
    f"shards {ROOT / 'results'} --out OUT": "train",
    f"train --params {PARAMS}": "train",
    "measure photographs=. --classifier hub:x --out OUT/x.json": "classifiers",
    "study results": "study",
    f"page 06_raw_accuracy --params {PARAMS}": "pages",
}


@pytest.mark.slow
def test_a_command_that_lacks_an_extra_says_what_to_install(python, tmp_path):
    commands = [
        [str(tmp_path) + word.removeprefix("OUT") if word.startswith("OUT") else word for word in command.split()]
        for command in LACKING
    ]
    ran = python(
        "-c",
        f"from repro.__main__ import main\nfor command in {commands}:\n    print(main(command), flush=True)",
    )
    assert ran.stdout.split() == ["1"] * len(LACKING), ran.stderr
    for line, extra in zip(ran.stderr.splitlines(), LACKING.values(), strict=True):
        assert line.startswith("error: this needs ") and line.endswith(f"-c requirements.lock -e '.[{extra}]'"), line


def test_another_missing_module_is_no_extras_fault():
    assert what_to_install(ModuleNotFoundError("no name")) is None
    assert what_to_install(ModuleNotFoundError("no module", name="repro.missing")) is None


def test_each_extra_brings_what_is_imported_from_it():
    for extra, modules in BRINGS.items():
        brought = brought_by(EXTRAS[extra]) - BASE
        assert not [module for module in modules if not PROVIDERS[module] & brought], extra


def test_every_import_of_the_library_is_the_packages_own_or_an_extras():
    imported = set()
    for file in (ROOT / "repro").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.partition(".")[0])
    imported -= sys.stdlib_module_names | {"repro"} | USERS_CHOICE
    of_base = {module for module in imported if PROVIDERS.get(module, set()) & BASE}
    read_as_files = {"skimage"}  # its photographs are read without importing it
    assert imported - of_base == {module for modules in BRINGS.values() for module in modules} - read_as_files

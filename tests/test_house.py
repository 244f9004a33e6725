"""What stands where: a room imports only from the floors below it, and no file or function is too long to read."""

import ast
import sys
from functools import cache
from graphlib import TopologicalSorter

import pytest

from repro.paths import ROOT

# From the ground up; a room is a file or a folder of repro/, and its neighbours on a floor are strangers to it.
FLOORS = (
    {"__init__", "paths", "files", "workers", "kinds", "extras", "color", "yaml12"},
    {"settings", "bins", "examples"},
    {"encoding", "network"},
    {"prior", "initialization", "objectives", "decoding", "encoder"},
    {"datasets", "colorizer"},
    {"evaluation"},
    {"training", "study"},
    {"pages", "checks"},
    {"commands"},
    {"__main__"},
)
METHOD = {"color", "bins", "examples", "encoding", "prior", "network", "initialization", "objectives", "decoding"}
METHODS_LIBRARIES = {"torch", "numpy", "scipy", "sklearn", "threadpoolctl", "jaxtyping"}
LINES_OF_A_FILE, LINES_OF_A_FUNCTION = 320, 40
STILL_OVER = set()  # what awaits its turn; it may only shrink

FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
LIBRARY = ROOT / "repro"
FILES = {file.relative_to(LIBRARY).with_suffix("").parts: file for file in sorted(LIBRARY.rglob("*.py"))}
MODULES = {".".join(parts).removesuffix(".__init__"): file for parts, file in FILES.items()}


@cache
def tree(module):
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imported(module):
    """The full names that a module imports, also within functions."""
    names = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports relatively, which this test does not follow"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def of_this_library(module):
    """The modules of this library that a module imports."""
    found = set()
    for name in imported(module):
        inside = name.removeprefix("repro.")
        while name != inside and inside not in MODULES:
            inside = inside.rpartition(".")[0]
        found |= {inside} - {name}
    return found


def room(module):
    return module.split(".")[0]


def test_every_room_has_its_floor():
    assert {room(module) for module in MODULES} == set(FLOOR_OF)


@pytest.mark.parametrize("module", MODULES)
def test_arrows_point_down(module):
    here = room(module)
    others = {other for other in map(room, of_this_library(module)) if other != here}
    assert not [other for other in others if FLOOR_OF[other] >= FLOOR_OF[here]]


def test_no_two_modules_need_each_other():
    tuple(TopologicalSorter({module: of_this_library(module) for module in MODULES}).static_order())


@pytest.mark.parametrize("module", sorted(METHOD))
def test_the_method_needs_nothing_but_itself(module):
    assert of_this_library(module) <= METHOD
    others = {name.split(".")[0] for name in imported(module)} - sys.stdlib_module_names - {"repro"}
    assert others <= METHODS_LIBRARIES


def lengths():
    """{"file" or "file function": (its lines, how many it may have)}."""
    found = {}
    for module, file in MODULES.items():
        name = file.relative_to(LIBRARY).as_posix()
        found[name] = len(file.read_text(encoding="utf-8").splitlines()), LINES_OF_A_FILE
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found[f"{name} {node.name}"] = node.end_lineno - node.lineno + 1, LINES_OF_A_FUNCTION
    return found


def test_nothing_is_too_long_to_read():
    """What is listed and no longer over is struck from the list."""
    assert {name for name, (lines, most) in lengths().items() if lines > most} == STILL_OVER


def test_this_test_follows_imports():
    assert {"encoding", "bins", "examples"} <= of_this_library("objectives")
    assert "datasets.stream" in of_this_library("training.batches"), "imports within functions count"
    assert "torch.nn" in imported("network")

"""The pages: house rules on what is in git, and every page run top to bottom by nbval in reading order."""

import ast
import json
import os
import re
import subprocess
import sys

import pytest
from conftest import CHROMIUM

from repro import paths

PAGES = sorted(paths.NOTEBOOKS.glob("*.ipynb"))


def cells(page, kind=None):
    notebook = json.loads(page.read_text())
    return [cell for cell in notebook["cells"] if kind in (None, cell["cell_type"])]


def source(cell):
    return "".join(cell["source"])


@pytest.fixture(params=PAGES, ids=lambda page: page.stem)
def page(request):
    return request.param


def test_there_are_pages():
    assert [page.stem[:2] for page in PAGES] == [f"{number:02d}" for number in range(14)]


def test_nothing_but_source_is_stored(page):
    notebook = json.loads(page.read_text())
    assert "widgets" not in notebook["metadata"]
    for cell in notebook["cells"]:
        assert not cell.get("outputs") and cell.get("execution_count") is None, source(cell)[:60]
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])


def test_opening_and_closing(page):
    first, *_, last = cells(page)
    assert re.match(rf"# {page.stem[:2]} · .+\n\n\*\*.+\*\*", source(first), re.S), "title and the question it answers"
    assert "*Paper:*" in source(first) and "*Time:*" in source(first)
    assert "## Exercises" in source(last) and ".ipynb)" in source(last), "exercises, and what comes next"
    code = [source(cell) for cell in cells(page, "code")]
    assert "import" in code[0] and "parameters" in cells(page, "code")[1]["metadata"]["tags"]
    assert any("assert " in cell for cell in code) and any("write_metrics(" in cell for cell in code)


def test_a_page_says_what_it_teaches_how_long_it_takes_and_where_its_exercise_is(page):
    first, *_, last = map(source, cells(page))
    goals = first.split("**After this page you can**")[1]
    assert 2 <= len(re.findall(r"^- ", goals, re.M)) <= 3
    assert re.search(r"\*Time:\* \d+ minutes to read and play; its code runs in \d+ seconds", first)
    assert last.startswith("## What you can now do")
    if exercise := next((paths.NOTEBOOKS / "exercises").glob(f"{page.stem[:2]}_*.ipynb"), None):
        assert f"(exercises/{exercise.name})" in last
    for place in re.findall(r"\]\(([^)#:]+)\)", first + last):
        assert (page.parent / place).exists(), place


def test_cells_are_short_enough_to_read(page):
    for cell in cells(page, "code"):
        lines = source(cell).splitlines()
        assert len(lines) <= 22 and max(map(len, lines)) <= 100, source(cell)[:80]
    for cell in cells(page, "markdown"):
        assert len(re.findall(r"[^\s|]+", source(cell))) <= 200, source(cell)[:80]


def test_no_cell_does_what_belongs_elsewhere(page):
    code = "\n".join(source(cell) for cell in cells(page, "code"))
    for forbidden in (
        "sys.path",
        "!pip",
        "%pip",
        "interact(",
        "interactive(",
        "Output(",
        "tqdm",
        ".backward()\n    optimizer",
        'open("/',
    ):
        assert forbidden not in code, forbidden
    assert not re.search(r"""["']/(home|root|tmp|work|Users)/""", code), "an absolute path"


def test_every_page_has_a_slider_and_draws_without_it_too(page):
    code = [source(cell) for cell in cells(page, "code")]
    functions = [found[1] for cell in code if (found := re.search(r"slider_demo\(\s*(\w+)", cell))]
    assert functions
    for function in functions:
        assert any(re.search(rf"figures\.show\(\s*{function}\(", cell) for cell in code)


def test_pictures_have_caption_and_alt_text(page):
    for cell in cells(page, "code"):
        for call in ast.walk(ast.parse(source(cell))):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "show":
                assert len(call.args) == 3, source(cell)


def played_in_a_browser(tests):
    """Whether test_lab_browser.py is about to run every page in the same way, one after another in JupyterLab."""
    lab = [test for test in tests if test.path.name == "test_lab_browser.py" and hasattr(test, "callspec")]
    return CHROMIUM is not None and {page.stem for page in PAGES} == {test.callspec.params["stem"] for test in lab}


@pytest.mark.slow
def test_pages_run_top_to_bottom_in_reading_order(tmp_path, request):
    """As a student who has run nothing yet: every page after the one before, in a scratch folder of its own."""
    if played_in_a_browser(request.session.items):
        pytest.skip("a browser runs all pages in this order, and looks at more: test_lab_browser.py")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider",
         "-p", "no:xdist", "--rootdir", str(paths.NOTEBOOKS), *map(str, PAGES)],
        env=os.environ | {"REPRO_SCRATCH": str(tmp_path / "scratch"), "REPRO_OUTPUTS": str(tmp_path / "outputs")},
        cwd=paths.NOTEBOOKS, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-6000:]
    assert (tmp_path / "scratch/metrics/12_results.json").exists()
    assert not (tmp_path / "outputs").exists(), "a page run by hand wrote where the pipeline writes"

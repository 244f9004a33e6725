"""The site: every document in it, nothing fetched from elsewhere, and a real browser that finds no fault.

Executing every page takes minutes and is tested elsewhere; here the pages come with outputs made up.
"""

import json
import os
import re
import subprocess
import sys

import pytest
from axe_playwright_python.sync_playwright import Axe

from repro import paths
from repro.pages.live import DEMOS

PAGES = sorted(paths.NOTEBOOKS.glob("*.ipynb"))
BUILD = [sys.executable, str(paths.ROOT / "docs/build_site.py")]
WIDGET = {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/plain": ["VBox(children=...)"]}
RED_DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHx"
    "gljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg=="
)
PICTURE = f'<figure><img alt="A red dot" src="data:image/png;base64,{RED_DOT}"><figcaption>A dot.</figcaption></figure>'


def made_up_outputs(cell, count):
    if cell["cell_type"] != "code":
        return cell
    source = "".join(cell["source"])
    outputs = [{"output_type": "stream", "name": "stderr", "text": ["a warning of this machine"]}]
    if "figures.show(" in source:
        outputs.append({"output_type": "display_data", "metadata": {}, "data": {"text/html": [PICTURE]}})
    if "slider_demo" in source:
        outputs.append({"output_type": "execute_result", "metadata": {}, "execution_count": count, "data": WIDGET})
    return dict(cell, outputs=outputs, execution_count=count)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for page in PAGES:
        notebook = json.loads(page.read_text())
        cells = [made_up_outputs(cell, count) for count, cell in enumerate(notebook["cells"])]
        name = "04_training_rebalanced" if page.stem == "04_training" else page.stem
        (folder / f"{name}.ipynb").write_text(json.dumps(dict(notebook, cells=cells)))
    return folder


@pytest.fixture(scope="module")
def site(executed, tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "html"
    places = {name: str(tmp_path_factory.mktemp(name.lower())) for name in ("REPRO_OUTPUTS", "REPRO_SCRATCH")}
    command = [*BUILD, "--pages", executed, "--out", out]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **places})
    assert run.returncode == 0, run.stderr
    assert "index.html" in run.stdout
    return out


def documents(site):
    """The files with something to read, without Sphinx's own index and search page."""
    return sorted(path for path in site.rglob("*.html") if path.name not in ("genindex.html", "search.html"))


def test_every_page_exercise_and_document_is_there(site):
    found = {path.relative_to(site).as_posix() for path in documents(site)}
    exercises = (paths.NOTEBOOKS / "exercises").glob("*.ipynb")
    expected = {f"notebooks/{page.stem}.html" for page in PAGES}
    expected |= {f"notebooks/exercises/{page.stem}.html" for page in exercises}
    expected |= {"index.html", "README.html", "docs/teaching.html", "repro/colorizer/pretrained/MODEL_CARD.html"}
    expected |= {"CONTRIBUTING.html", "CHANGELOG.html"}
    expected |= {f"reference/{name}.html" for name in ("method", "colorizer", "datasets", "training", "evaluation")}
    assert expected <= found
    assert (site / "searchindex.js").exists()


def test_pages_stand_in_order(site):
    listed = r'<li class="toctree-l1"><a class="reference internal" href="notebooks/(\w+)\.html"'
    assert re.findall(listed, (site / "index.html").read_text()) == [page.stem for page in PAGES]


def test_nothing_is_loaded_from_elsewhere(site):
    for path in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|img|link|iframe)\b[^>]*(?:src|href)="([^"]+)"', path.read_text())
        assert not [address for address in loaded if "//" in address and not address.startswith("data:")], path
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert not re.findall(r"url\(\s*['\"]?(?:https?:)?//", styles)


def test_equations_are_drawn_by_the_browser_itself(site):
    text = (site / "notebooks/04_training.html").read_text()
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"' in text
    assert "$$" not in text and not re.search(r"<script[^>]*mathjax", text, re.I)


def test_sliders_become_a_note_and_warnings_are_left_out(site):
    text = (site / "notebooks/05_decoding.html").read_text()
    assert "Sliders follow that need JavaScript" in text and "VBox(" not in text
    assert "Here a slider follows in JupyterLab" in (site / "notebooks/01_gamut_and_prior.html").read_text()
    assert "a warning of this machine" not in text
    assert 'alt="A red dot"' in text


def test_demonstrations_that_need_no_kernel_have_their_place_and_their_data(site):
    for page, demos in DEMOS.items():
        text = (site / f"notebooks/{page}.html").read_text()
        assert re.findall(r'class="repro-live" data-page="(\w+)" data-demo="(\w+)"', text) == [
            (page, demo) for demo in demos.values()
        ]
        for name in re.findall(r'<script defer src="([^"]+)"', text):
            assert (site / "notebooks" / name).is_file()
        assert (site / f"_static/live/{page}.js").stat().st_size < 6 << 20, "a phone loads it"


def test_the_reference_says_what_the_code_says(site):
    pages = {path.stem: path.read_text() for path in (site / "reference").glob("*.html")}
    for page, names in {
        "method": (
            "color.rgb_to_lab",
            "bins.ab_bins",
            "encoding.soft_encode",
            "prior.smooth",
            "decoding.annealed_mean",
        ),
        "colorizer": ("colorizer.Colorizer.load", "colorizer.Colorizer.colorize", "colorizer.weights.load_weights"),
        "datasets": ("datasets.sources.open_source", "datasets.photographs.read_photo", "datasets.world.WorldSource"),
        "training": ("training.loop.train",),
        "evaluation": ("evaluation.raw_accuracy.auc", "evaluation.intervals.bootstrap"),
    }.items():
        assert not [name for name in names if f'id="repro.{name}"' not in pages[page]]
    together = "".join(pages.values())
    assert str(paths.ROOT) not in together, "a folder of this machine"
    equation = "regression       L2(Y^, Y) = 1/2 sum ||Y - Y^||^2"
    assert equation in together, "what is laid out in lines stays so"
    assert not re.search(r"\\[*_|`]", together) and 'href="#repro.encoding.soft_encode"' in together


def test_links_between_documents_lead_somewhere(site):
    broken = []
    for path in documents(site):
        for address in re.findall(r'<a\b[^>]*href="([^"#]+)', path.read_text()):
            if not re.match(r"[a-z]+:", address) and not (path.parent / address).exists():
                broken.append((path.name, address))
    assert not broken


def test_without_executed_pages_it_says_what_to_run(tmp_path):
    run = subprocess.run([*BUILD, "--pages", tmp_path, "--out", tmp_path / "out"], capture_output=True, text=True)
    assert run.returncode == 1 and not (tmp_path / "out").exists()
    assert re.fullmatch(r"error: .*00_start_here.ipynb is missing; run `make repro` first\n", run.stderr)


# ---- in a browser ----


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_finds_no_fault(site, browser, scheme):
    """From the file system: no failing request, no error, and no serious finding of axe's rules."""
    context = browser.new_context(color_scheme=scheme)
    page, faults = context.new_page(), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("requestfailed", lambda request: faults.append(f"failed: {request.url}"))
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    for path in documents(site)[:: 1 if scheme == "light" else 5]:
        page.goto(path.as_uri())
        found = Axe().run(page, options={"resultTypes": ["violations"], "preload": False}).response["violations"]
        faults += [
            f"{path.name}: {rule['id']}: {rule['nodes'][0]['html'][:150]}"
            for rule in found
            if rule["impact"] in ("serious", "critical")
        ]
    context.close()
    assert not faults, "\n".join(dict.fromkeys(faults))
    assert requests and all(address.startswith(("file:", "data:")) for address in requests)


@pytest.mark.browser
def test_demonstrations_are_alive_from_the_file_system(site, browser):
    """tests/test_live.py compares what they show with the library."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    for name, demos in DEMOS.items():
        page.goto((site / f"notebooks/{name}.html").as_uri())
        assert page.evaluate("[...document.querySelectorAll('.repro-live')].map((place) => Boolean(place.live))") == [
            True for _ in demos
        ]
        assert "Sliders follow" not in page.inner_text("main")
    context.close()


@pytest.mark.browser
def test_three_words_move_and_stand_still_for_whom_motion_hurts(site, browser):
    frames = "[...document.querySelectorAll('[data-moving]')].map((place) => Number(place.dataset.frame))"
    for motion in ("reduce", "no-preference"):
        context = browser.new_context(reduced_motion=motion)
        page = context.new_page()
        page.goto((site / "docs/glossary.html").as_uri())
        page.locator("[data-moving=dilation]").scroll_into_view_if_needed()
        if motion == "reduce":
            page.wait_for_timeout(1500)
            assert page.evaluate(frames) == [0, 0, 0]
            page.locator("[data-moving=dilation] button", has_text="Step").click()
            assert page.evaluate(frames) == [0, 1, 0]
            assert "Dilation 2: nine weights see a field of 5" in page.inner_text("[data-moving=dilation] p")
        else:
            page.wait_for_function("document.querySelector('[data-moving=dilation]').dataset.frame === '3'")
        context.close()


@pytest.mark.browser
def test_search_works_from_the_file_system(site, browser):
    context = browser.new_context()
    page = context.new_page()
    page.goto((site / "search.html").as_uri() + "?q=annealed")
    page.wait_for_selector("#search-results li", timeout=60000)
    assert "05" in page.inner_text("#search-results")
    context.close()

"""The site: every document in it, nothing fetched from elsewhere, and a real browser that finds no fault.

Executing every page takes minutes and is tested elsewhere; here the pages come with outputs made up.
"""

import importlib
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
SLIDES = [sys.executable, str(paths.ROOT / "docs/build_slides.py")]
WIDGET = {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/plain": ["VBox(children=...)"]}
RED_DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHx"
    "gljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg=="
)
PICTURE = f'<figure><img alt="A red dot" src="data:image/png;base64,{RED_DOT}"><figcaption>A dot.</figcaption></figure>'

pytestmark = pytest.mark.slow  # building it takes a minute


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


def test_a_page_in_german_stands_beside_the_others(site):
    text = (site / "notebooks/de/00_start_here.html").read_text()
    assert (
        '<article lang="de"' in text and "Die Daten: eine gemalte Welt" in text and "Hier folgt in JupyterLab" in text
    )
    assert '<html class="no-js" lang="en"' in text and 'lang="de"' not in (site / "index.html").read_text()


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


# ---- slides ----


@pytest.fixture(scope="module")
def slides(executed, tmp_path_factory):
    pytest.importorskip("sphinx_revealjs")
    out = tmp_path_factory.mktemp("slides")
    run = subprocess.run([*SLIDES, "--pages", executed, "--out", out, "02", "05"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert f"open {out / '02_soft_encoding.html'}" in run.stdout
    return out


def test_slides_begin_at_headings(slides):
    assert [path.stem for path in sorted(slides.iterdir())] == ["02_soft_encoding", "05_decoding"]
    text = (slides / "05_decoding.html").read_text()
    for section in re.findall(r"<section\s*>(?!<section)(.*?)(?=<section|</section>)", text, flags=re.S):
        assert len(re.findall("<h[123]>", section)) <= 1 and (section.count("<figure") <= 1 or "<h" not in section)
    headings = re.findall(r"<h[123]>(.*?)</h[123]>", text)
    assert headings[:3] == ["05 · Decoding", "By hand", "From mode to mean"] and "Check" not in "".join(headings)
    assert "Here a slider follows" not in text and "a warning of this machine" not in text
    assert re.search('<math [^>]*display="block"', text) and "$$" not in text
    assert 'alt="A red dot"' in text and "decoding.annealed_mean" in re.sub("<[^>]+>", "", text), "pictures, and code"


def test_slides_load_nothing(slides):
    for path in slides.iterdir():
        text = re.sub(r"<script>.*?</script>", "", path.read_text(), flags=re.S)
        assert "Reveal" not in text and not re.findall(r"<(?:script|link|iframe)\b", text)
        assert not re.findall(r"@import|url\(\s*['\"]?(?:https?:)?//", text)
        assert all(address.startswith("data:") for address in re.findall(r'<img[^>]* src="([^"]*)', text))


def test_slides_of_a_page_that_there_is_not(executed, tmp_path):
    pytest.importorskip("sphinx_revealjs")
    run = subprocess.run([*SLIDES, "--pages", executed, "--out", tmp_path, "77"], capture_output=True, text=True)
    assert run.returncode == 1 and run.stderr.startswith("error: no page begins with 77; there are 00_start_here to")


@pytest.mark.browser
def test_slides_in_a_browser(slides, browser):
    """The space bar leads through all of them; C shows the code; nothing is asked of a network."""
    page, faults = browser.new_page(viewport={"width": 1120, "height": 720}), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: request.url.startswith(("file:", "data:")) or faults.append(request.url))
    page.goto((slides / "02_soft_encoding.html").as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    count, seen = page.evaluate("Reveal.getTotalSlides()"), []
    while len(seen) < count:
        seen.append(page.evaluate("Reveal.getCurrentSlide().innerText"))
        page.keyboard.press("Space")
    assert count > 5 and len(set(seen)) == count and all(text.strip() for text in seen)
    page.evaluate("Reveal.slide(1)")
    assert "import" not in seen[1] and not page.is_visible("section.present pre")
    page.keyboard.press("c")
    assert "soft_encode(" in page.inner_text("section.present section.present, section.present:not(.stack)")
    assert not faults
    page.close()


# ---- the sheet to print ----


@pytest.fixture
def sheets(monkeypatch):
    monkeypatch.syspath_prepend(str(paths.ROOT / "docs"))
    return importlib.import_module("build_sheet")


def test_the_sheet_asks_and_answers_apart(sheets):
    made = sheets.items()
    assert len(made) == 25 and sum(title.startswith("Page") for title, *_ in made) == 16
    title, _, html, answers = made[3]
    assert title == "Page 02 · Soft encoding" and answers == ["25", "45", "65", "85", "185", "50"]
    asked = " ".join(re.sub("<[^>]+>", "", html).split())
    assert "are 9+16 = 1, 9+36 = 2, 49+16 = 3, 49+36 = 4; the fifth" in asked, "a blank has its number"
    for _, _, html, answers in made:
        assert html.count('class="blank"') == len(answers)
    text = sheets.sheet()
    asked, answered = text.split('<div class="answers">')
    assert "1.064" in answered and "1.064" not in asked and "$" not in text and "<math" in asked
    assert not re.findall(r'(?:src|href)="', text)


def test_an_exercise_by_hand_that_changed_or_came_is_named(sheets, monkeypatch):
    changed = {"By hand": ["5, 20 and 200 give ([146] + [130]"]}
    monkeypatch.setitem(sheets.BY_HAND, "06_raw_accuracy", changed)
    with pytest.raises(sheets.SheetError, match="06_raw_accuracy, By hand: expected once '5, 20 and 200 give .146"):
        sheets.items()
    monkeypatch.delitem(sheets.BY_HAND, "06_raw_accuracy")
    with pytest.raises(sheets.SheetError, match=r"by hand are \['By hand'\], docs/by_hand.py has \[\]"):
        sheets.items()


@pytest.mark.browser
def test_the_sheet_prints_on_a4_with_the_answers_on_its_last_page(tmp_path, browser):
    run = subprocess.run([sys.executable, paths.ROOT / "docs/build_sheet.py", "--out", tmp_path / "by_hand.html"])
    page = browser.new_page()
    page.goto((tmp_path / "by_hand.html").as_uri())
    assert run.returncode == 0 and page.locator("math").count() > 10
    everything = page.pdf(prefer_css_page_size=True)
    page.evaluate("document.querySelector('.answers').remove()")
    asked = page.pdf(prefer_css_page_size=True)
    page.close()
    count = lambda pdf: len(re.findall(rb"/Type /Page\b(?!s)", pdf))
    assert count(everything) == count(asked) + 1 and 5 <= count(asked) <= 9
    assert {
        (round(float(w)), round(float(h))) for w, h in re.findall(rb"/MediaBox \[0 0 (\S+) (\S+)\]", everything)
    } == {(595, 842)}


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
    assert requests and all(address.startswith(("file:", "data:", "blob:")) for address in requests)


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
        assert "Sliders follow" not in page.inner_text("article")
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

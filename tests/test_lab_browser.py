"""Every page in JupyterLab, in a real browser: Run All ends without an error, and a control moves a picture.

In reading order, as a student would, from a copy of the pages. Screenshots are kept in scratch/screenshots/.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request

import pytest
from axe_playwright_python.sync_playwright import Axe

from repro import paths

PAGES = sorted(paths.NOTEBOOKS.glob("*.ipynb"))
SCREENSHOTS = paths.ROOT / "scratch/screenshots"
TOKEN = "only-for-this-test"
CONTROL = ".widget-slider .noUi-handle, .repro-pointer, .widget-dropdown select"
PROMPTS = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]"
BUSY = f"() => {PROMPTS}.some(prompt => prompt.textContent.includes('*'))"
COUNT = f"() => {PROMPTS}.length"
DONE = f"() => {PROMPTS}.filter(prompt => /\\[\\d+\\]/.test(prompt.textContent)).length"
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # else only what is on the screen is in the page
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "extensionmanager-extension/plugin": {"enabled": False},
}

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab that serves a copy of the pages."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(paths.NOTEBOOKS, folder / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    for name, values in SETTINGS.items():
        path = folder / "settings/@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    places = {
        "REPRO_SCRATCH": "scratch",
        "REPRO_OUTPUTS": "outputs",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_RUNTIME_DIR": "runtime",
    }
    environment = os.environ | {name: str(folder / place) for name, place in places.items()} | {"OMP_NUM_THREADS": "1"}
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0",
             f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder / 'notebooks'}"],
            env=environment, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield wait_for_address(folder / "runtime", server)
    finally:
        server.terminate()
        server.wait(20)


def wait_for_address(runtime, server, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        for path in runtime.glob("jpserver-*.json"):
            with open(path) as file:
                return json.load(file)["url"]
        time.sleep(0.2)
    raise AssertionError("JupyterLab did not start")


def ask(address, method="GET"):
    return urllib.request.urlopen(
        urllib.request.Request(address, method=method, headers={"Authorization": f"token {TOKEN}"})
    )


def stop_kernels(address):
    with ask(address + "api/kernels") as answer:
        for kernel in json.load(answer):
            ask(f"{address}api/kernels/{kernel['id']}", "DELETE").close()


@pytest.fixture
def tab(browser, lab):
    """A tab, and the faults that it has reported so far."""
    context = browser.new_context(viewport={"width": 1280, "height": 950}, reduced_motion="reduce")
    page, faults = context.new_page(), []
    page.set_default_timeout(180_000)
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    page.on("console", lambda message: faults.append(f"console: {message.text}") if message.type == "error" else None)
    page.on(
        "response", lambda answer: faults.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None
    )
    yield page, faults
    context.close()
    stop_kernels(lab)


def run_all(page, seconds):
    """Run All Cells from the menu, and wait until every cell has its number."""
    page.click(".lm-MenuBar-itemLabel:text-is('Run')")
    page.click(".lm-Menu-itemLabel:text-is('Run All Cells')")
    cells = page.evaluate(COUNT)
    page.wait_for_function(f"() => ({DONE})() >= {cells} && !({BUSY})()", timeout=1000 * seconds)


@pytest.mark.parametrize("stem", [page.stem for page in PAGES])
def test_a_page_runs_and_its_control_moves_its_picture(lab, tab, stem):
    page, faults = tab
    page.goto(f"{lab}lab/tree/{stem}.ipynb?reset&token={TOKEN}")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.wait_for_selector("#jp-main-statusbar :text('(ipykernel) | Idle')")  # else it asks for a kernel
    run_all(page, 240)
    errors = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']")
    assert errors.count() == 0, errors.first.inner_text()[-2000:]
    demos = page.locator(".jp-OutputArea-output", has=page.locator("img.widget-image"))
    assert demos.count() > 0, "nothing to play with"
    for number in range(demos.count()):
        assert demos.nth(number).locator("img.widget-image").get_attribute("alt"), "no alternative text"
        play(page, demos.nth(number))
        page.screenshot(path=SCREENSHOTS / f"{stem}_{number + 1}.png")
    if stem.startswith("11"):
        repaint_by_keyboard(page)
        page.screenshot(path=SCREENSHOTS / f"{stem}_repainted.png")
    faults += inaccessible(page)
    if stem == "02_soft_encoding":
        pointer, picture = (demos.locator(name).bounding_box() for name in (".repro-pointer", "img.widget-image"))
        assert pointer["x"] + pointer["width"] <= picture["x"], "side by side at 1280 pixels"
        assert abs(pointer["y"] - picture["y"]) < 100
    assert not faults, "\n".join(faults)


def inaccessible(page):
    """What axe's rules find serious in what the page wrote, not in JupyterLab around it."""
    page.wait_for_timeout(1500)  # until the sliders have their names
    written = [[".jp-Notebook .jp-RenderedMarkdown"], [".jp-Notebook .jp-OutputArea-output"]]
    options = {"resultTypes": ["violations"], "preload": False}
    found = Axe().run(page, context={"include": written}, options=options).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:200]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"][:3]
    ]


def play(page, demo):
    """Move its first control by the keyboard, and point where it can be pointed; each time its picture changes."""
    picture = demo.locator("img.widget-image")
    control = demo.locator(CONTROL).first
    demo.scroll_into_view_if_needed()
    before = picture.evaluate("node => node.src")
    control.focus()
    if control.evaluate("node => node.tagName") == "SELECT":
        control.select_option(index=1 - min(1, control.evaluate("node => node.selectedIndex")))
    else:
        value, most = (control.get_attribute(f"aria-value{name}") for name in ("now", "max"))
        at_the_end = value and most and float(value) >= float(most)
        page.keyboard.press("ArrowLeft" if at_the_end else "ArrowRight")
    before = changed(page, picture, before)
    if demo.locator(".repro-pointer").count():
        box = demo.locator(".repro-pointer").bounding_box()
        x, y = box["x"] + box["width"] / 3, box["y"] + box["height"] / 3
        page.mouse.click(x, y)
        changed(page, picture, before)
        mark = demo.locator(".cross").bounding_box()
        assert abs(mark["x"] + mark["width"] / 2 - x) < 30 and abs(mark["y"] + mark["height"] / 2 - y) < 30
        said = demo.locator(".repro-pointer-says").inner_text()
        if said.startswith("a "):  # the ab plane: up and left are yellow and green
            a, b = (float(part.split()[1]) for part in said.split(" \u00b7")[0].split(", "))
            assert a < 0 < b, said


def changed(page, picture, before):
    """The picture's new address, once it is another."""
    page.wait_for_function(
        "([node, before]) => node.src !== before", arg=[picture.element_handle(), before], timeout=180_000
    )
    page.wait_for_timeout(300)  # for the answer to a key that came after
    picture.evaluate("node => node.decode()")
    return picture.evaluate("node => node.src")


def repaint_by_keyboard(page):
    """Page 11: move the mark, choose a swatch, save; each by keys alone, and each says what it did."""
    demo = page.locator(".jp-OutputArea-output", has=page.locator("button:text-is('save at full size')"))
    demo.scroll_into_view_if_needed()
    pointer, picture = demo.locator(".repro-pointer"), demo.locator(".repro-pointer img")
    swatch, before = demo.locator("button").first, picture.evaluate("node => node.src")
    said = swatch.inner_text()
    assert "%" in said and "#" in said, "a colour is named by its numbers"
    pointer.focus()
    for _ in range(4):
        page.keyboard.press("Shift+ArrowDown")
    page.wait_for_function("([node, said]) => node.innerText !== said", arg=[swatch.element_handle(), said])
    page.wait_for_timeout(2000)  # for the answers to the keys that came after
    page.keyboard.press("Tab")
    assert swatch.evaluate("node => node === document.activeElement")
    page.keyboard.press("Enter")
    changed(page, picture, before)
    demo.locator("[role=status]:has-text('1 hint so far')").wait_for()
    assert "1 hint so far" in pointer.get_attribute("aria-label")
    demo.locator("button:text-is('save at full size')").focus()
    page.keyboard.press("Enter")
    demo.locator("[role=status]:has-text('Saved: ')").wait_for()


WRONG, RIGHT = (
    """def receptive_field(layers):
    field, apart = 1, 1
    for kernel, stride, dilation in layers:
        apart *= stride
        field += (kernel - 1) * dilation * apart
    return field, apart""",
    """def receptive_field(layers):
    field, apart = 1, 1
    for kernel, stride, dilation in layers:
        field += (kernel - 1) * dilation * apart
        apart *= stride
    return field, apart""",
)


def test_an_exercise_answers_a_student(lab, tab):
    """Untouched it says so; a mistake is named; with the function written it is right."""
    page, faults = tab
    page.goto(f"{lab}lab/tree/exercises/03_receptive_field.ipynb?reset&token={TOKEN}")
    page.wait_for_selector("#jp-main-statusbar :text('(ipykernel) | Idle')")
    answer = page.locator(".jp-CodeCell").last.locator(".jp-OutputArea-output")
    steps = (
        ("untouched", None, "not tried yet"),
        ("mistaken", WRONG, "own stride counts only for the layers after it"),
        ("solved", RIGHT, "right in all"),
    )
    for name, written, said in steps:
        if written:
            page.locator(".jp-CodeCell").nth(1).locator(".cm-content").click()
            page.keyboard.press("Control+a")
            page.keyboard.insert_text(written)
        run_all(page, 120)
        answer.filter(has_text=said).wait_for()
        page.screenshot(path=SCREENSHOTS / f"exercise_{name}.png")
    assert not faults, "\n".join(faults)

"""The demonstrations of the site, in a browser and without a kernel: the same numbers and pictures as the library's."""

import shutil

import numpy as np
import pytest
import torch

from repro import decoding, paths
from repro.bins import ab_bins
from repro.encoding import soft_encode
from repro.examples import to_example
from repro.pages import figures, live
from repro.prior import rebalancing_weights, smooth

STATIC = paths.ROOT / "docs/static"
PAGES = sorted(live.DEMOS)


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory):
    """As in a fresh clone: nothing was run, so that the small networks that come along are shown."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("OUTPUTS", "SCRATCH"):
            patch.setattr(paths, name, tmp_path_factory.mktemp(name.lower()))
        yield


@pytest.fixture(scope="module")
def folder(by_hand, tmp_path_factory):
    """A page of its demonstrations alone for each page of the site that has any, as files."""
    folder = tmp_path_factory.mktemp("live")
    program, looks = live.pointing()
    (folder / "pointer.js").write_text(program)
    (folder / "live.css").write_text((STATIC / "live.css").read_text() + looks)
    shutil.copy(STATIC / "live.js", folder)
    for page, demos in live.DEMOS.items():
        (folder / f"{page}.js").write_text(live.script(page, live.data_of(page)))
        places = "".join(
            f'<div class="repro-live" data-page="{page}" data-demo="{demo}"></div>' for demo in demos.values()
        )
        scripts = "".join(f'<script defer src="{name}.js"></script>' for name in (page, "pointer", "live"))
        head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>x</title>'
        head += '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="live.css">'
        (folder / f"{page}.html").write_text(f"{head}<body><main>{places}</main>{scripts}")
    return folder


@pytest.fixture(scope="module")
def opened(browser, folder):
    """From a page's name to the page in the browser, from the file system; fails at the end if a script failed."""
    context, errors, kept = browser.new_context(), [], {}

    def open_page(name):
        if name not in kept:
            page = kept[name] = context.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto((folder / f"{name}.html").as_uri())
        return kept[name]

    yield open_page
    context.close()
    assert not errors


def drawn(page, demo, **changes):
    """What a demonstration shows for these values: its result, with arrays as lists."""
    return page.evaluate(
        """([demo, changes]) => {
          const root = document.querySelector(`[data-demo=${demo}]`);
          root.live.set(changes);
          const plain = (value) => ArrayBuffer.isView(value) ? Array.from(value)
            : Array.isArray(value) || value === null || typeof value !== "object" ? value
            : Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
          return {title: root.live.title, result: plain(root.live.result)};
        }""",
        [demo, changes],
    )


def canvas_of(page, demo, index):
    """A picture as it is seen: (H, W, 3) uint8."""
    seen = page.evaluate(
        """([demo, index]) => {
          const canvas = document.querySelectorAll(`[data-demo=${demo}] canvas`)[index];
          const {data, height, width} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return {data: Array.from(data), height, width};
        }""",
        [demo, index],
    )
    return np.uint8(seen["data"]).reshape(seen["height"], seen["width"], 4)[..., :3]


@pytest.fixture(scope="module")
def counted(by_hand):
    return torch.from_numpy(np.load(paths.READY / "prior.npz")["prior"])


@pytest.fixture(scope="module")
def shown(by_hand):
    """Models, the photographs that the pages of decoding show, and which are the first and the last of them."""
    models, _ = live.shown({})
    data = live.data_of("05_decoding")
    return models, data["photos"], data


def test_every_demonstration_stands_on_its_page():
    """A page that renames its draw function would lose its demonstration in the site without a word."""
    for page, demos in live.DEMOS.items():
        text = (paths.NOTEBOOKS / f"{page}.ipynb").read_text(encoding="utf-8")
        for draw in demos:
            assert f'slider_demo(\\n",\n    "    {draw},' in text, (page, draw)


def test_halves_keep_the_likeliest_colours_most_exactly():
    logits = torch.tensor([-1e3, 500.0, 500.01, 499.0]).reshape(1, 4, 1, 1)
    stored = live.as_half(logits).astype(np.float32).ravel()
    assert stored.max() == 0 and np.allclose(stored[1:], [-0.01, 0, -1.01], rtol=1e-3)
    assert live.packed(np.float16([1.0, -2.0])) == {"half": "ADwAwA==", "shape": [2]}, "little-endian"
    with pytest.raises(KeyError):
        live.packed(np.arange(3))


def test_a_page_brings_no_more_than_a_phone_loads(by_hand, monkeypatch):
    """Fewer photographs then, but always the one whose decodings differ most."""
    every = live.data_of("05_decoding")
    monkeypatch.setattr(live, "LARGEST", 3 * 2 * 313 * 16 * 16 * 2)
    few = live.data_of("05_decoding")
    assert len(few["photos"]) < 4 <= len(every["photos"])
    telling = [data["photos"][data["telling"]] for data in (every, few)]
    assert np.array_equal(*telling)


def test_a_page_shows_what_it_was_executed_with(by_hand, monkeypatch, tmp_path):
    """A page of the pipeline never shows other networks than its own, and fewer photographs where it had fewer."""
    monkeypatch.setattr(paths, "OUTPUTS", tmp_path)
    for page in ("01_gamut_and_prior", "05_decoding", "06_raw_accuracy"):
        with pytest.raises(FileNotFoundError, match="make repro"):
            live.data_of(page, {"pipeline": True})
    (tmp_path / "models").mkdir()
    shutil.copy(paths.READY / "models/rebalanced.safetensors", tmp_path / "models")
    shutil.copytree(paths.SCRATCH / "data", tmp_path / "data")
    data = live.data_of("05_decoding", {"pipeline": True, "photographs": 3, "temperature": 0.5})
    assert list(data["models"]) == ["rebalanced"] and data["asked"] == "rebalanced" and data["temperature"] == 0.5
    assert len(data["photos"]) == len(data["pictures"]) == 3
    shutil.copy(paths.READY / "models/regression.safetensors", tmp_path / "models")
    (tmp_path / "models/rebalanced.safetensors").unlink()
    assert live.data_of("05_decoding", {"pipeline": True}) is None, "a regression has no distribution"


# ---- in a browser ----


@pytest.mark.browser
def test_weights_are_those_of_the_library(opened, counted):
    worst = 0.0
    for mix in (0.0, 0.05, 0.5, 1.0):
        for sigma in (0.0, 1.0, 5.0, 20.0):
            seen = np.array(drawn(opened("01_gamut_and_prior"), "weights", mix=mix, sigma=sigma)["result"]["weights"])
            expected = rebalancing_weights(smooth(counted, ab_bins(), sigma), mix).numpy()
            worst = max(worst, np.abs(seen - expected).max() / expected.max())
    print(f"weights: largest difference {worst:.1e} of the largest weight")
    assert worst < 1e-9


@pytest.mark.browser
@pytest.mark.parametrize("point", [(60.0, 40.0), (0.0, 0.0), (-90.0, 75.0), (110.0, 110.0), (5.0, -15.0)])
def test_the_brush_says_what_the_page_says(opened, counted, point):
    bins, weights = ab_bins(), rebalancing_weights(smooth(counted, ab_bins(), 5.0), 0.5)
    for radius in (5, 20, 60):
        chosen = (bins - torch.tensor(point)).norm(dim=1) <= radius
        figure = figures.brushed_bins(bins, chosen, counted, weights)
        seen = drawn(opened("01_gamut_and_prior"), "brush", point=list(point), radius=radius)["title"]
        assert "\n".join(seen) == figure.axes[0].get_title()


@pytest.mark.browser
def test_neighbours_and_their_weights_are_those_of_the_library(opened):
    rng, worst = np.random.default_rng(0), 0.0
    for most in [1, 2, 5, 20] * 12:
        point = rng.integers(-112, 113, 2).astype(float).tolist()
        sigma = float(rng.integers(2, 41)) / 2
        seen = drawn(opened("02_soft_encoding"), "neighbours", point=point, neighbours=most, sigma=sigma)["result"]
        indices, weights = soft_encode(torch.tensor(point), ab_bins(), most, sigma)
        assert seen["indices"] == indices.tolist(), (point, most)
        worst = max(worst, float(np.abs(np.array(seen["weights"]) - weights.numpy()).max()))
    print(f"soft encoding: largest difference of a weight {worst:.1e}")
    assert worst < 1e-6


@pytest.mark.browser
def test_pictures_are_those_of_the_library_at_every_temperature(opened, shown):
    """Given, each model's colours and the truth, in the page's order, pixel by pixel as the canvas has them."""
    models, photos, _ = shown
    worst = {}
    for photo in (0, len(photos) - 1):
        for temperature in (0.02, 0.38, 1.0):
            drawn(opened("05_decoding"), "temperature", photo=photo, temperature=temperature)
            expected = [figures.lightness_only(photos[photo])]
            expected += [model.colorize(photos[photo], temperature=temperature) for model in models.values()]
            for index, picture in enumerate([*expected, photos[photo]]):
                seen = canvas_of(opened("05_decoding"), "temperature", index)
                difference = int(np.abs(seen.astype(int) - picture).max())
                worst[temperature] = max(worst.get(temperature, 0), difference)
    print("pictures: largest difference by temperature, of 255:", worst)
    assert max(worst.values()) <= 2


@pytest.mark.browser
def test_a_pixels_distribution_and_decodings_are_those_of_the_library(opened, shown):
    models, photos, data = shown
    bins, model = ab_bins(), models[data["asked"]]
    lightness, true_ab = to_example(photos)
    answers, worst = model.predict(lightness), {"probability": 0.0, "ab": 0.0}
    for photo in (0, len(photos) - 1):
        for x, y in ((2, 2), (22, 38), (63, 0), (41, 63)):
            seen = drawn(opened("05_decoding"), "pixel", photo=photo, point=[x, y], temperature=0.38)["result"]
            logits = answers[photo, :, y // 4, x // 4][None, :, None, None]
            expected = {
                "mode": decoding.mode(logits, bins), "mean": decoding.mean(logits, bins),
                "annealed": decoding.annealed_mean(logits, bins, 0.38), "truth": true_ab[photo, y // 4, x // 4],
            }  # fmt: skip
            off = np.abs(np.array(seen["probabilities"]) - logits.softmax(1).flatten().numpy()).max()
            worst["probability"] = max(worst["probability"], off)
            for name, ab in expected.items():
                worst["ab"] = max(worst["ab"], float(np.abs(np.array(seen[name]) - ab.flatten().numpy()).max()))
    print("one pixel: largest differences", worst)
    assert worst["probability"] < 1e-3 and worst["ab"] < 0.05


@pytest.mark.browser
@pytest.mark.parametrize("split", [0, 37, 50, 100])
def test_two_objectives_on_either_side_of_the_line(opened, shown, split):
    models, photos, _ = shown
    versions = {"given": figures.lightness_only, "truth": lambda photo: photo}
    versions |= {name: model.colorize for name, model in models.items()}
    for left, right in (("regression", "rebalanced"), ("truth", "classification"), ("given", "truth")):
        drawn(opened("05_decoding"), "split", left=left, right=right, split=split, photo=1)
        expected = figures.halves(versions[left](photos[1]), versions[right](photos[1]), split)
        difference = np.abs(canvas_of(opened("05_decoding"), "split", 0).astype(int) - expected).max()
        assert difference <= 1, (left, right)


@pytest.mark.browser
def test_masks_are_those_of_the_library(opened, by_hand):
    far = live.data_of("06_raw_accuracy")["distances"]
    for t in (0, 15, 40, 80):
        for photo in (0, 15):
            seen = drawn(opened("06_raw_accuracy"), "threshold", t=t, photo=photo)["result"]
            assert list(seen["masks"]) == list(far) and "gray" in far and "rebalanced" in far
            for name, distances in far.items():
                assert np.array_equal(np.array(seen["masks"][name]), (distances[photo] <= t).ravel())
                assert seen["shares"][name] == pytest.approx((distances[photo] <= t).mean())


@pytest.mark.browser
@pytest.mark.parametrize("name", PAGES)
def test_a_redraw_is_quick(opened, name):
    """The slowest of every control's two ends and middle, layout included.

    Each is drawn five times, and the median counts, as other programs run beside the tests.
    """
    page, slowest = opened(name), {}
    for demo in live.DEMOS[name].values():
        slowest[demo] = page.evaluate(
            """(demo) => {
              const root = document.querySelector(`[data-demo=${demo}]`), medians = [];
              for (const input of root.querySelectorAll("input, select")) {
                const {options, min, max} = input;
                const ends = [min, (Number(min) + Number(max)) / 2, max];
                const places = options ? [...options].map(({value}) => value) : ends;
                for (const place of places) {
                  const times = [];
                  for (let turn = 0; turn < 5; turn += 1) {
                    const began = performance.now();
                    input.value = place;
                    input.dispatchEvent(new Event("input"));
                    root.getBoundingClientRect();
                    times.push(performance.now() - began);
                  }
                  medians.push(times.sort((a, b) => a - b)[2]);
                }
              }
              return Math.max(...medians);
            }""",
            demo,
        )
    print("slowest redraw, milliseconds:", slowest)
    assert max(slowest.values()) < 150


@pytest.mark.browser
def test_what_is_missing_is_said(browser, folder, tmp_path):
    """Without the numbers, without a script, with numbers that are damaged, and without any script at all."""
    context = browser.new_context()
    page = context.new_page()
    for name, damage, expected in (
        ("06_raw_accuracy", None, "_static/live/06_raw_accuracy.js: copy the whole folder"),
        (
            "06_raw_accuracy",
            'window.reproLive = {data: {"06_raw_accuracy": null}};',
            "cannot be moved without a kernel",
        ),
        ("06_raw_accuracy", 'window.reproLive = {data: {"06_raw_accuracy": {}}};', "could not show the demonstration"),
        ("pointer", None, "_static/pointer.js: copy the whole folder"),
    ):
        damaged = shutil.copytree(folder, tmp_path / str(len(list(tmp_path.iterdir()))))
        (damaged / f"{name}.js").unlink()
        if damage:
            (damaged / f"{name}.js").write_text(damage)
        shown = "02_soft_encoding" if name == "pointer" else name
        page.goto((damaged / f"{shown}.html").as_uri())
        assert expected in page.inner_text(".repro-live")
    context.close()


KEYS = {"ArrowRight": (1, 0), "ArrowUp": (0, 1), "ArrowLeft": (-1, 0), "ArrowDown": (0, -1)}


@pytest.mark.browser
def test_everything_can_be_done_by_keyboard(opened):
    """Arrow keys move a slider by a step, and the mark by one or, with Shift, by five, as in JupyterLab."""
    page = opened("02_soft_encoding")
    values = lambda: page.evaluate("document.querySelector('[data-demo=neighbours]').live.values")
    drawn(page, "neighbours", point=[3, 4], neighbours=5, sigma=5.0)
    page.reload()
    page.get_by_label("sigma (ab units)").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_label("neighbours").focus()
    page.keyboard.press("ArrowLeft")
    assert values() == {"point": [3, 4], "neighbours": 4, "sigma": 5.5}
    page.locator(".repro-pointer").focus()
    place = np.array([3, 4])
    for key, move in KEYS.items():
        page.keyboard.press(key)
        place += move
        assert values()["point"] == place.tolist()
    page.keyboard.press("Shift+ArrowRight")
    assert values()["point"] == [8, 4] and "a 8, b 4" in page.inner_text(".repro-pointer-says")
    assert "(8, 4) comes back as" in page.inner_text(".live-title")


@pytest.mark.browser
@pytest.mark.parametrize("name", PAGES)
def test_tab_and_arrow_keys_reach_every_control(opened, name):
    page, moved = opened(name), 0
    page.reload()
    page.evaluate("document.activeElement.blur()")
    states = "[...document.querySelectorAll('[data-demo]')].map((root) => JSON.stringify(root.live.values)).join()"
    controls = page.locator(".repro-live input, .repro-live select, .repro-pointer").count()
    for _ in range(controls):
        page.keyboard.press("Tab")
        seen = {page.evaluate(states)}
        for key in ("ArrowRight", "ArrowLeft"):  # at an end one way is shut
            page.keyboard.press(key)
            seen.add(page.evaluate(states))
        moved += len(seen) > 1
    assert moved == controls >= 2


@pytest.mark.browser
def test_another_photograph_comes_to_be_pointed_at(opened):
    page = opened("05_decoding")
    place = page.locator("[data-demo=pixel]")
    before = place.locator(".repro-pointer img").get_attribute("src")
    place.get_by_label("photograph", exact=True).focus()
    page.keyboard.press("ArrowLeft")
    assert place.locator(".repro-pointer img").get_attribute("src") != before
    box = place.locator(".repro-pointer img").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    point = page.evaluate("document.querySelector('[data-demo=pixel]').live.values.point")
    assert np.allclose(point, [32, 32], atol=2)


@pytest.mark.browser
@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_all_of_it_and_rules_find_no_fault(browser, folder, name):
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto((folder / f"{name}.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("[...document.querySelectorAll('.repro-live')].every((place) => place.live)")
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    context.close()
    assert not [rule["id"] for rule in found if rule["impact"] in ("serious", "critical")]

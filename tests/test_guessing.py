"""Guess the colour: what a class on its phones and the screen in front see, over real HTTP and in a browser."""

import argparse
import contextlib
import re
from io import BytesIO

import httpx
import numpy as np
import pytest
import torch
import uvicorn
from PIL import Image

from repro import paths
from repro.color import in_gamut, rgb8_to_lab
from repro.colorizer import Colorizer
from repro.commands import study
from repro.datasets.world import WorldSource
from repro.examples import to_example
from repro.paths import READY
from repro.study.guessing import Game, make_app, questions_of
from repro.study.server import Limits
from repro.study.serving import serving
from repro.study.store import Refused


@pytest.fixture(scope="module")
def model():
    return Colorizer.load(READY / "models/classification.safetensors")


@pytest.fixture(scope="module")
def scenes():
    return WorldSource().bulk("test", size=64, limit=12)[0]


@pytest.fixture(scope="module")
def questions(model, scenes):
    return questions_of(model, scenes, 3)


@pytest.fixture
def serve(questions):
    """From limits to (game, client) of a server in a thread."""
    with contextlib.ExitStack() as stack:

        def start(**limits):
            game = Game(questions, limits.get("raters", 1000))
            address = stack.enter_context(serving(game, limits=Limits(**limits), make=make_app))
            return game, stack.enter_context(httpx.Client(base_url=address, timeout=60))

        yield start


def joined(client):
    reply = client.post("/api/join", json={})
    assert reply.status_code == 201, reply.text
    return {"Authorization": f"Bearer {reply.json()['token']}"}


# ---- what is asked ----


def test_a_question_is_where_the_network_is_undecided_and_tells_the_truth(questions, model, scenes):
    assert len(questions) == 3
    for question in questions:
        assert max(p for *_, p in question.network) < 0.9
        assert all(0.1 < at < 0.9 for at in question.place)
        with Image.open(BytesIO(question.coloured)) as image:
            photo = np.asarray(image)
        assert any(np.array_equal(photo, scene) for scene in scenes)
        x, y = (int(at * 64) for at in question.place)
        logits = model.predict(to_example(photo[None])[0])[0, :, y // 4, x // 4]
        shares = torch.softmax(logits.double(), 0)
        drawn = {(round(float(a)), round(float(b))): p for (a, b), p in zip(model.bins, shares, strict=True)}
        told = {(round(a), round(b)): p for a, b, p in question.network}
        assert all(abs(told.get(place, 0) - p) < 6e-4 for place, p in drawn.items()) and sum(told.values()) > 0.98
        lab = rgb8_to_lab(photo[y, x][None])[0]
        assert np.abs(lab[1:] - question.truth).max() < 0.06
        with Image.open(BytesIO(question.gray)) as image:
            gray = np.asarray(image)
        assert (
            int(np.ptp(gray.astype(int), axis=2).max()) <= 1 and abs(rgb8_to_lab(gray[y, x][None])[0, 0] - lab[0]) < 0.6
        )
        for a, b, colour in question.palette:
            assert bool(in_gamut(torch.tensor([float(lab[0]), a, b]))) and len(colour) == 7


def test_a_regression_and_no_photographs_are_refused(scenes, model):
    regression = Colorizer.load(READY / "models/regression.safetensors")
    with pytest.raises(ValueError, match="no distribution"):
        questions_of(regression, scenes)
    with pytest.raises(ValueError, match="at least 1"):
        questions_of(model, scenes, 0)
    with pytest.raises(ValueError, match="no photograph"):
        Game([])


# ---- the game ----


def test_guesses_are_counted_once_a_phone_and_forgotten_with_the_next_photograph(questions):
    game = Game(questions)
    phones = [game.join() for _ in range(4)]
    for phone, choice in zip(phones, (0, 0, 5, 7), strict=True):
        game.guess(phone, 1, choice)
    game.guess(phones[3], 1, 5)  # a change of mind
    assert game.state(phones[3])["mine"] == 5 and "answer" not in game.state(game.key)
    game.lead(game.key, "show")
    answer = game.state(phones[0])["answer"]
    ab = [np.array(questions[0].palette[index][:2]) for index in (0, 5)]
    assert sorted(answer["guesses"]) == sorted([(*ab[0], 2), (*ab[1], 2)])
    assert np.allclose(answer["mean_of_guesses"], (ab[0] + ab[1]) / 2, atol=0.051)
    with pytest.raises(Refused, match="shown already"):
        game.guess(phones[0], 1, 3)
    game.lead(game.key, "next")
    assert game.state(phones[0]) == {
        "number": 2, "of": 3, "shown": False, "guesses": 0, "mine": None, "leads": False
    }  # fmt: skip
    game.lead(game.key, "next"), game.lead(game.key, "next")
    assert game.state(game.key)["number"] == 1, "after the last comes the first"


def test_nobody_guessed_is_no_error(questions):
    game = Game(questions)
    game.lead(game.key, "show")
    answer = game.state(game.key)["answer"]
    assert answer["guesses"] == [] and answer["mean_of_guesses"] is None and answer["truth"] == questions[0].truth


# ---- over HTTP ----


def test_the_answer_is_not_told_before_it_is_shown(serve, questions):
    game, client = serve()
    phone = joined(client)
    assert set(client.get("/api/state", headers=phone).json()) == {"number", "of", "shown", "guesses", "mine", "leads"}
    assert set(client.get("/api/question/1", headers=phone).json()) == {"place", "palette"}
    assert client.get("/api/picture/1/coloured", headers=phone).status_code == 425
    assert client.get("/api/picture/2/gray", headers=phone).status_code == 409
    assert client.get("/api/picture/1/truth", headers=phone).status_code == 404
    gray = client.get("/api/picture/1/gray", headers=phone)
    assert gray.content == questions[0].gray and gray.headers["Cache-Control"] == "no-store"
    lead = {"Authorization": f"Bearer {game.key}"}
    assert client.post("/api/lead", json={"do": "show"}, headers=phone).status_code == 401
    assert client.post("/api/lead", json={"do": "show"}, headers=lead).json()["shown"]
    assert client.get("/api/picture/1/coloured", headers=phone).content == questions[0].coloured


def test_what_is_no_guess_is_refused(serve, questions):
    game, client = serve()
    phone = joined(client)
    send = lambda body, headers=phone: client.post("/api/guess", json=body, headers=headers).status_code
    for body in (
        {},
        {"number": 1},
        {"number": "1", "choice": 1},
        {"number": 1, "choice": True},
        {"number": 1, "choice": 1.5},
    ):
        assert send(body) == 422, body
    for choice in (-1, len(questions[0].palette), 1 << 70):
        assert send({"number": 1, "choice": choice}) == 422
    assert send({"number": 2, "choice": 0}) == 409
    assert send({"number": 1, "choice": 0}, {"Authorization": "Bearer somebody"}) == 401
    assert send({"number": 1, "choice": 0}, {"Authorization": f"Bearer {game.key}"}) == 401, "who leads does not guess"
    assert (
        client.post("/api/guess", content=b"x" * 5000, headers=phone | {"Content-Type": "application/json"}).status_code
        == 413
    )
    assert client.post("/api/join", content="a=b").status_code == 415, "as another site's form could"
    assert game.state(game.key)["guesses"] == 0
    assert send({"number": 1, "choice": 0}) == 200


def test_the_studys_limits_hold(serve):
    _, client = serve(raters=2, requests_per_second=1, burst=5)
    phone = joined(client)
    joined(client)
    assert client.post("/api/join", json={}).status_code == 403
    codes = [client.get("/api/state", headers=phone).status_code for _ in range(12)]
    assert 429 in codes
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        assert client.post("/api/join", json={}, headers=headers).status_code == 403
    assert client.get("/api/state", headers={"X-Long": "x" * 9000}).status_code in (400, 431)
    for path in ("/", "/guess.js", "/nothing"):
        headers = client.get(path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
    page = client.get("/").text
    assert "http" not in page and "style=" not in page


# ---- from the command line ----


def command(*arguments):
    parser = argparse.ArgumentParser()
    study.add(parser.add_subparsers())
    options = parser.parse_args(["study", "guess", "--port", "0", *arguments])
    return options.run(options)


def test_the_command_prints_a_link_for_phones_and_one_for_whoever_leads(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(paths, "OUTPUTS", tmp_path / "outputs")
    monkeypatch.setattr(paths, "SCRATCH", tmp_path / "scratch")
    ran = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: ran.append(sockets[0].close()))
    assert command("--photographs", "2") == 0 and len(ran) == 1
    said = capsys.readouterr().out
    phones, lead = re.search(r"open (http://127\.0\.0\.1:\d+/)\n", said), re.search(r"for you alone: (\S+)#(\S+)", said)
    assert phones[1] == lead[1] and len(lead[2]) == 32 and "--host 0.0.0.0" in said
    assert "2 photographs" in said and "nothing is written down" in said
    for arguments, expected in (
        (("--photographs", "0"), "expected at least 1 photograph to guess in, got 0"),
        (("--weights", str(READY / "models/regression.safetensors")), "a regression has no distribution"),
        (("--weights", str(tmp_path / "none.safetensors")), "none.safetensors"),
    ):
        assert command(*arguments) == 1
        said = capsys.readouterr().err
        assert said.startswith("error: ") and expected in said and said.count("\n") == 1


# ---- in a browser ----


@pytest.mark.browser
def test_a_phone_guesses_and_the_class_sees_its_map(browser, serve, questions):
    """By touch on a phone, by keyboard on another; the leading screen has the buttons and no palette."""
    game, client = serve()
    errors = []
    with contextlib.ExitStack() as stack:

        def opened(address, **options):
            context = browser.new_context(**options)
            stack.callback(context.close)
            page = context.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(str(client.base_url) + address)
            page.wait_for_selector("#game:not([hidden])")
            return page

        phone = opened("", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
        keys = opened("", viewport={"width": 1280, "height": 800})
        lead = opened(f"#{game.key}", viewport={"width": 1280, "height": 800})
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390
        assert phone.is_hidden("#leading") and lead.is_hidden("#asking") and phone.is_disabled("#send")
        box = phone.locator("#palette svg").bounding_box()
        phone.touchscreen.tap(box["x"] + box["width"] / 2 + 20 * box["width"] / 240, box["y"] + box["width"] / 2)
        assert "(20, 0)" in phone.inner_text("#chosen")
        phone.tap("#send")
        phone.wait_for_selector("#chosen:has-text('sent')")
        keys.locator("#palette").focus()
        for key in ("ArrowUp", "ArrowUp", "Enter"):
            keys.keyboard.press(key)
        lead.wait_for_selector("#progress:has-text('2 guesses')")
        lead.click("#show")
        for page in (phone, keys, lead):
            page.wait_for_selector("#answer:not([hidden])")
            assert page.locator("#class-map circle[stroke-width='0.6']").count() == 2
            assert page.locator("#network-map circle[stroke-width='0.6']").count() == len(questions[0].network)
        assert "The mean of all guesses is (10, 10)" in phone.inner_text("#means")
        lead.click("#next")
        phone.wait_for_selector("#progress:has-text('Photograph 2 of 3, 0 guesses')")
        phone.wait_for_selector("#asking:not([hidden])")
    assert not errors


@pytest.mark.browser
def test_who_cannot_go_on_is_told_why(browser, serve):
    """A forged address of the leading screen, no script at all, and one photograph that is asked again."""
    game, client = serve()
    address = str(client.base_url)
    with contextlib.ExitStack() as stack:

        def opened(address, **options):
            context = browser.new_context(**options)
            stack.callback(context.close)
            page = context.new_page()
            page.goto(address)
            return page

        forged = opened(f"{address}#nokey")
        forged.wait_for_selector("#closed:not([hidden])")
        assert "not the leading screen" in forged.inner_text("#reason") and forged.is_hidden("#before")
        still = opened(address, java_script_enabled=False)
        assert "needs JavaScript" in still.inner_text("#before")
        game.questions = game.questions[:1]
        lead = opened(f"{address}#{game.key}")
        lead.click("#show")
        lead.wait_for_selector("#photo[aria-label*='its own colours']")
        lead.click("#next")
        lead.wait_for_selector("#photo[aria-label*='gray']")


@pytest.mark.browser
def test_rules_find_no_fault(browser, serve):
    from axe_playwright_python.sync_playwright import Axe

    game, client = serve()
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        for address, shown in (("", False), (f"#{game.key}", True)):
            page.goto("about:blank")
            page.goto(str(client.base_url) + address)
            page.wait_for_selector("#game:not([hidden])")
            if shown:
                page.click("#show")
                page.wait_for_selector("#answer:not([hidden])")
            found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
            assert not [
                (rule["id"], rule["nodes"][0]["html"][:150])
                for rule in found
                if rule["impact"] in ("serious", "critical")
            ]
        game.lead(game.key, "next")
        context.close()

"""Pages in other languages: nothing is lost on the way, and a translation that is out of date says so."""

import ast
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from repro import paths

sys.path.insert(0, str(paths.ROOT / "docs"))
translate = importlib.import_module("translate")
sys.path.pop(0)

PAGES = sorted(path.stem for path in paths.NOTEBOOKS.glob("*.ipynb"))
CELL = """draw = lambda t: figures.photographs([a["given"]], titles, height=2)
titles = ["gänzlich", f"at T = {t:.2f}", "T = 1"]
figures.show(
    draw(1), "A caption.", alt=f"{x}"
)
FloatSlider(1, description="temperature T", style="fine"); assert x, "a message"
print(f"{a['key']}", "losses:", f"{a} or {b}", end="")"""


def notebook(*cells):
    made = [
        {"cell_type": kind, "id": f"c{number}", "metadata": {}, "source": [source], "outputs": []}
        for number, (kind, source) in enumerate(cells)
    ]
    return {"cells": made, "metadata": {}}


def catalog_of(page, **translations):
    """A catalog in which the texts that begin so are translated."""
    catalog = translate.updated(page, None, "de")
    for message in catalog:
        message.string = next(
            (new for old, new in translations.items() if message.id and message.id.startswith(old)), ""
        )
    return catalog


@pytest.mark.parametrize(("language", "page"), translate.known())
def test_no_original_has_changed_since_it_was_translated(language, page):
    """`python docs/translate.py LANGUAGE PAGE --update` writes into the .po what is to be translated again."""
    catalog = translate.read(language, page)
    assert not translate.missing(translate.original(page), catalog)
    there = translate.messages(translate.original(page))
    assert not [message.id for message in catalog if message.id and message.id not in there], "what is no longer there"


@pytest.mark.parametrize(("language", "page"), translate.known())
def test_a_translation_has_the_pages_code_and_links_that_lead_somewhere(language, page):
    before = translate.original(page)
    after = translate.translated(before, translate.read(language, page))
    for one, other in zip(before["cells"], after["cells"], strict=True):
        old, new = "".join(one["source"]), "".join(other["source"])
        if one["cell_type"] == "code":
            assert without_strings(old) == without_strings(new)
        else:
            assert new != old and old.count("`") == new.count("`")
            for _, link in translate.LINK.findall(new):
                assert Path(os.path.normpath(paths.NOTEBOOKS / language / link)).exists(), link


def without_strings(code):
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(tree)


def test_there_is_one_translation_at_least():
    assert ("de", "00_start_here") in translate.known()


def test_what_readers_see_of_a_cell_is_found():
    assert [text for *_, text in translate.strings(CELL)] == [
        "gänzlich", "at T = {t:.2f}", "A caption.", "temperature T", "losses:", "{a} or {b}",
    ]  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_the_strings_of_every_page_stand_where_they_are_said_to_stand(page):
    for cell in translate.original(page)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            for first, last, text in translate.strings(source):
                literal = source.encode()[first:last].decode()
                assert literal == f'f"{text}"' or ast.literal_eval(literal.join("()")) == text


def test_code_keeps_its_sense_in_another_language():
    page = notebook(("code", CELL), ("markdown", "See [this](a.md), [that](https://b.org) and [here](../c/d.md#e)."))
    catalog = catalog_of(page, gä='wholly "so"\n', at="bei T = {t:.2f}", losses="Verluste:", See="[x](a.md) [y](#z)")
    code, text = ("".join(cell["source"]) for cell in translate.translated(page, catalog)["cells"])
    assert 'titles = ["wholly \\"so\\"\\n", f"bei T = {t:.2f}", "T = 1"]' in code and '"Verluste:"' in code
    assert '"A caption."' in code and 'a["given"]' in code and '"a message"' in code and text == "[x](../a.md) [y](#z)"
    for wrong in ("bei T", "bei T = {t:.3f}", 'bei "T" = {t:.2f}'):
        with pytest.raises(translate.TranslationError, match="cell c0: .* needs the placeholders of 'at T = {t:.2f}'"):
            translate.translated(page, catalog_of(page, at=wrong))


def test_captions_that_were_shown_are_translated_too():
    page = notebook(("code", 'figures.show(f, "Bob\'s caption.")\nprint("losses:", 1)'), ("markdown", translate.NOTE))
    shown = {"output_type": "display_data", "data": {"text/html": ["<i>Bob&#x27;s caption.</i>"], "image/png": "A"}}
    page["cells"][0]["outputs"] = [shown, {"output_type": "stream", "name": "stdout", "text": ["losses: 1\n"]}]
    catalog = catalog_of(page, Bob="Bobs <Bild>.", losses="Verluste:", **{"*(Here": "Hier."})
    cells = translate.translated(page, catalog)["cells"]
    assert cells[0]["outputs"][0]["data"] == {"text/html": "<i>Bobs &lt;Bild&gt;.</i>", "image/png": "A"}
    assert cells[0]["outputs"][1]["text"] == "Verluste: 1\n" and cells[1]["source"] == ["Hier."]


def test_a_changed_original_is_told_and_its_old_translation_kept_for_the_translator(tmp_path, monkeypatch):
    monkeypatch.setattr(translate, "ROOT", tmp_path)
    monkeypatch.setattr(translate, "TRANSLATIONS", tmp_path / "docs/translations")
    (tmp_path / "notebooks").mkdir()
    file = tmp_path / "notebooks/01_page.ipynb"
    file.write_text(json.dumps(notebook(("markdown", "A page about the colours of doors."), ("markdown", "Check"))))
    po = translate.update("de", "01_page")
    assert len(translate.missing(translate.original("01_page"), translate.read("de", "01_page"))) == 3
    text = po.read_text()
    for old, new in (("A page about the colours of doors.", "Türen"), ("Check", "Prüfen"), (translate.NOTE, "Regler")):
        text = text.replace(f'msgid "{old}"\nmsgstr ""', f'msgid "{old}"\nmsgstr "{new}"')
    po.write_text(text)
    assert not translate.missing(translate.original("01_page"), translate.read("de", "01_page"))
    file.write_text(json.dumps(notebook(("markdown", "A page about the colours of floors."), ("markdown", "Check"))))
    changed = ["cell c0: A page about the colours of floors."]
    assert translate.missing(translate.original("01_page"), translate.read("de", "01_page")) == changed
    translate.update("de", "01_page")
    catalog = translate.read("de", "01_page")
    message = catalog.get("A page about the colours of floors.")
    assert message.fuzzy and message.string == "Türen" and catalog.get("Check").string == "Prüfen"
    assert translate.missing(translate.original("01_page"), catalog) == changed, "a guess is no translation"


def test_the_command_says_what_is_not_there():
    command = [sys.executable, str(paths.ROOT / "docs/translate.py")]
    run = subprocess.run([*command, "xx", "00_start_here"], capture_output=True, text=True)
    assert run.returncode == 1 and run.stderr.count("\n") == 1 and "--update" in run.stderr
    run = subprocess.run([*command, "de", "77"], capture_output=True, text=True)
    assert run.returncode == 1 and run.stderr.startswith("error: there is no page 77")

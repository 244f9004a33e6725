"""The site: README, pages, exercises, teaching notes, model card and reference as one static book.

    python docs/build_site.py [--pages outputs/pages] [--out outputs/site]

Complete without a network, and opens from the file system. The tree that Sphinx is given has the shape of the
repository, so that every link between the documents holds.
"""

import argparse
import json
import re
import shutil
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from tempfile import TemporaryDirectory

import links
import translate
from translate import NOTE

from repro.pages.live import DEMOS, data_of, pointing, script

ROOT = Path(__file__).resolve().parents[1]
TRAINED = "04_training_rebalanced"  # of page 04's three runs, the one that is shown
WIDGET = "application/vnd.jupyter.widget-view+json"
DOCUMENTS = (
    "docs/teaching",
    "docs/glossary",
    "repro/colorizer/pretrained/MODEL_CARD",
    "data/README",
    "CONTRIBUTING",
    "CHANGELOG",
)
REFERENCE = {  # a page of the reference: its title, what it tells, and its modules or their package
    "method": (
        "The method",
        "The paper's ideas, one a module, as functions on tensors.",
        "color bins examples encoding prior network encoder initialization objectives decoding".split(),
    ),
    "colorizer": (
        "The colouriser",
        "A photograph in, a photograph out: what a program of your own calls.",
        "colorizer",
    ),
    "datasets": ("Photographs", "Where photographs come from, and how they are prepared.", "datasets"),
    "training": ("Training", "From settings and photographs to weights, on one process or many.", "training"),
    "evaluation": (
        "Evaluation",
        "How near the colours are, and what classifiers and features make of them.",
        "evaluation",
    ),
}
SITE = ROOT / "outputs/site"
MARK = ".site"  # an empty file in the site's folder: a build may replace it
NEEDS = (
    "*(Sliders follow that need JavaScript and a browser of 2021 or later. The picture above is their first state.)*"
)
LIVE = f'<div class="repro-live" data-page="{{page}}" data-demo="{{demo}}">\n\n{NEEDS}\n\n</div>'
SCRIPTS = "\n".join(
    f'<script defer src="../_static/{name}.js"></script>' for name in ("live/{page}", "pointer", "live")
)
MOVING = {"stride": "Stride", "dilation": "Dilation", "soft": "Soft encoding"}  # by name in docs/static/moving.js


def executed(name, pages):
    """The executed notebook of a page, as a dict, made ready for reading.  Raises FileNotFoundError.

    A demonstration that goes on without a kernel (`repro.pages.live`) has its place, any other a note.
    """
    path = pages / f"{TRAINED if name == '04_training' else name}.ipynb"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; run `make repro` first")
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = []
    for cell in notebook["cells"]:
        if "injected-parameters" in cell["metadata"].get("tags", []):
            continue
        if cell["cell_type"] == "code":
            outputs = [o for o in cell["outputs"] if o.get("name") != "stderr"]
            has_widget = any(WIDGET in o.get("data", {}) for o in outputs)
            cell["outputs"] = [o for o in outputs if WIDGET not in o.get("data", {})]
            cells.append(cell)
            if has_widget:
                cells.append(_text(f"w{len(cells)}", _place_of(name, "".join(cell["source"]))))
        else:
            cells.append(cell)
    if name in DEMOS:
        cells.append(_text("scripts", SCRIPTS.format(page=name)))
    return dict(notebook, cells=cells, metadata={"kernelspec": notebook["metadata"]["kernelspec"]})


def opened(repository, name):
    """A Markdown cell with the link that opens a page of a copy on GitHub without installing anything."""
    return _text("opened", f"[Open this page in Binder]({links.binder(repository, name)})")


def _text(name, source):
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": [source]}


def _place_of(page, source):
    """What stands for the sliders of a cell."""
    draw = re.search(r"slider_demo\(\s*(\w+)", source)
    demo = DEMOS.get(page, {}).get(draw[1]) if draw else None
    return LIVE.format(page=page, demo=demo) if demo else NOTE


def in_motion(glossary):
    """The glossary with three of its words in motion at its end."""
    places = [f'### {word}\n\n<div class="repro-live" data-moving="{name}"></div>' for name, word in MOVING.items()]
    script = '<script defer src="../_static/moving.js"></script>'
    return "\n\n".join([glossary, "## Three words in motion", *places, script]) + "\n"


def write_demonstrations(static, pages):
    """What the demonstrations need, into the site's folder of scripts: their data, and the picture to point at."""
    (static / "live").mkdir()
    for name in DEMOS:
        path = pages / f"{name}.ipynb"
        parameters = json.loads(path.read_text(encoding="utf-8"))["metadata"].get("papermill", {}).get("parameters", {})
        (static / f"live/{name}.js").write_text(script(name, data_of(name, parameters)), encoding="utf-8")
    program, looks = pointing()
    (static / "pointer.js").write_text(program, encoding="utf-8")
    (static / "live.css").write_text((static / "live.css").read_text(encoding="utf-8") + looks, encoding="utf-8")


def modules_of(room):
    """The modules of a package of the library.  A package that hands names on stands for the modules they come from."""
    package = import_module(f"repro.{room}")
    handed_on = {getattr(getattr(package, name), "__module__", None) for name in getattr(package, "__all__", ())}
    found = [room] if handed_on else []
    for module in iter_modules(package.__path__, f"{room}."):
        if f"repro.{module.name}" not in handed_on:
            found += modules_of(module.name) if module.ispkg else [module.name]
    return found


def reference(title, tells, modules):
    """A page of the reference, Markdown: Sphinx fills it from the code."""
    if isinstance(modules, str):
        modules = modules_of(modules)
    parts = []
    for name in modules:
        handed_on = "\n   :imported-members:" if (ROOT / "repro" / name.replace(".", "/")).is_dir() else ""
        parts.append(f"## repro.{name}\n\n```{{eval-rst}}\n.. automodule:: repro.{name}{handed_on}\n```")
    return "\n\n".join([f"# {title}", tells, *parts]) + "\n"


def contents(pages, exercises, translations):
    """README's tables of contents, for Sphinx."""
    lines = []
    for caption, documents in (
        ("Pages", pages),
        ("Exercises", exercises),
        ("In other languages", translations),
        ("Library", [f"reference/{name}" for name in REFERENCE]),
        ("More", DOCUMENTS),
    ):
        lines += ["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *documents, "```"]
    return "\n".join(lines) + "\n"


def gather(tree, pages):
    """Fill a folder with the site's documents."""
    names = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    exercises = sorted(path.stem for path in (ROOT / "notebooks/exercises").glob("*.ipynb"))
    (tree / "notebooks/exercises").mkdir(parents=True)
    repository = links.address()
    for name in names:
        page = executed(name, pages)
        if repository:
            page["cells"].insert(1, opened(repository, name))
        text = json.dumps(page, ensure_ascii=False)
        (tree / f"notebooks/{name}.ipynb").write_text(text, encoding="utf-8")
    for language, name in translate.known():
        page = translate.translated(executed(name, pages), translate.read(language, name))
        (tree / f"notebooks/{language}").mkdir(exist_ok=True)
        text = json.dumps(page, ensure_ascii=False)
        (tree / f"notebooks/{language}/{name}.ipynb").write_text(text, encoding="utf-8")
    for name in exercises:
        shutil.copy(ROOT / f"notebooks/exercises/{name}.ipynb", tree / "notebooks/exercises")
    (tree / "reference").mkdir()
    for name, page in REFERENCE.items():
        (tree / f"reference/{name}.md").write_text(reference(*page), encoding="utf-8")
    documents = [f"{name}.md" for name in DOCUMENTS]
    for place in (*documents, "docs/static", "docs/conf.py", "LICENSE", "CITATION.cff", "results"):
        target = tree / place
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / place).is_dir() else shutil.copy)(ROOT / place, target)
    write_demonstrations(tree / "docs/static", pages)
    glossary = tree / "docs/glossary.md"
    glossary.write_text(in_motion(glossary.read_text(encoding="utf-8")), encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    readme = links.with_links(readme, repository)
    readme = readme.replace("(notebooks/exercises)", "(notebooks/exercises/01_bins_and_weights.ipynb)")
    listed = [f"notebooks/{n}" for n in names], [f"notebooks/exercises/{n}" for n in exercises]
    listed = (*listed, [f"notebooks/{language}/{n}" for language, n in translate.known()])
    (tree / "README.md").write_text(readme + contents(*listed), encoding="utf-8")
    teaching = tree / "docs/teaching.md"
    text = teaching.read_text(encoding="utf-8")
    teaching.write_text(
        text.replace("(../notebooks/exercises)", "(../notebooks/exercises/01_bins_and_weights.ipynb)"), encoding="utf-8"
    )


def accessible(html, folder=""):
    """What the theme leaves out: headings say their level, and what scrolls sideways can be reached by keyboard.

    folder: of the page; if it is a language's, the page's own text says so.
    """
    if folder in {language for language, _ in translate.known()}:
        html = re.sub(r"<article\b", f'<article lang="{folder}"', html, count=1)
    html = html.replace('<p class="caption" role="heading">', '<p class="caption" role="heading" aria-level="2">')
    return re.sub(r'<(pre|div class="(?:math|table-wrapper)[^"]*")>', r'<\1 tabindex="0">', html)


def build(pages, out):
    """Build the site into `out`, replacing an earlier one; returns Sphinx's exit code.

    Raises FileExistsError where `out` holds anything else.
    """
    from sphinx.cmd.build import build_main

    empty = not out.exists() or (out.is_dir() and not any(out.iterdir()))
    if not empty and not (out / MARK).exists() and out.resolve() != SITE.resolve():
        raise FileExistsError(f"{out} is there already and is no earlier site; name another --out")

    with TemporaryDirectory() as work:
        tree, html = Path(work, "tree"), Path(work, "html")
        gather(tree, pages)
        code = build_main(["-q", "-W", "--keep-going", "-c", str(tree / "docs"), "-b", "html", str(tree), str(html)])
        if code == 0:
            for page in html.rglob("*.html"):
                page.write_text(accessible(page.read_text(encoding="utf-8"), page.parent.name), encoding="utf-8")
            shutil.copy(html / "README.html", html / "index.html")
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(html, out, ignore=shutil.ignore_patterns(".doctrees", ".buildinfo"))
            (out / MARK).touch()
    return code


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pages", type=Path, default=ROOT / "outputs/pages", help="executed pages")
    parser.add_argument("--out", type=Path, default=SITE)
    options = parser.parse_args()
    try:
        code = build(options.pages, options.out)
    except (FileExistsError, FileNotFoundError, translate.TranslationError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if code == 0:
        print(f"Done: open {options.out / 'index.html'} in a browser.")
    return code


if __name__ == "__main__":
    sys.exit(main())

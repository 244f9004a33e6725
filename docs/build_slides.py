"""Slides made from the executed pages: nbconvert's reveal.js export, one file a page, complete without a network.

    python docs/build_slides.py [--pages outputs/pages] [--out outputs/slides] [--code] [PAGE ...]

A new slide begins at each heading, and below it one for each further picture or table; nothing is written into the
pages for it.  Code is hidden, and the key C shows it.
"""

import argparse
import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import nbformat
from build_site import ROOT, executed
from jinja2 import DictLoader, pass_context
from nbconvert import SlidesExporter
from pygments.formatters import HtmlFormatter
from rendering import as_html
from translate import NOTE

FULL = 420  # letters of text beside which a picture no longer fits
SKIPPED = ("Check", "Exercises")  # sections that begin so: for the reader of a page, not for a room
TEMPLATE = """
{%- extends 'base.html.j2' -%}
{% block header %}<!DOCTYPE html>
<html lang="{{ resources.language_code }}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ resources.slides.title }}</title>
<style>{{ resources.slides.css }}</style>
</head>
{% endblock header %}
{% block body_header %}<body{% if resources.slides.code %} class="code"{% endif %}>
<main class="reveal"><div class="slides">
{% endblock body_header %}
{% block body_footer %}</div></main>
<script>{{ resources.slides.script }}</script>
<script>
Reveal.initialize({
  width: 1120, height: 700, margin: 0.03, center: false, hash: true, transition: "none", slideNumber: "c/t",
  keyboard: { 67: () => document.body.classList.toggle("code") },
});
</script>
</body></html>
{% endblock body_footer %}
{% block footer %}{% endblock footer %}
"""
STYLE = """
.reveal { font: 26px/1.35 system-ui, sans-serif; color: #1b1b1b; background: #fff; }
.reveal .slides { text-align: left; }
.reveal .slides section { height: 700px; overflow-y: auto; padding: 0 8px; box-sizing: border-box; }
.reveal .slides > section.stack { overflow: visible; padding: 0; }
.reveal h1 { font: 600 52px/1.1 system-ui, sans-serif; margin: 0 0 22px; text-transform: none; }
.reveal h2 { font: 600 40px/1.15 system-ui, sans-serif; margin: 0 0 18px; text-transform: none; }
.reveal h3 { font: 600 34px/1.15 system-ui, sans-serif; margin: 0 0 16px; text-transform: none; }
.reveal p, .reveal ul, .reveal ol, .reveal blockquote { margin: 0 0 14px; width: auto; }
.reveal ul, .reveal ol { padding-left: 1.2em; margin-left: 0; display: block; }
.reveal blockquote { padding: 0 0 0 16px; border-left: 4px solid #7b2d8b; background: none; box-shadow: none; }
.reveal code { font: 0.85em ui-monospace, monospace; }
.reveal a { color: #6a2477; }
.reveal math { font-size: 1.1em; }
.reveal eq > math, .reveal .math { overflow-x: auto; }
.reveal figure { margin: 6px 0; }
.reveal section img { margin: 0; width: 100%; height: auto; max-height: 390px; object-fit: contain;
  object-position: left; }
.jp-OutputArea-child:has(figure):not(:only-child) img { max-height: 250px; }
.reveal figcaption, .reveal caption { font-size: 20px; text-align: left; color: #444; }
.reveal table { font-size: 20px; border-collapse: collapse; margin: 0 0 12px; }
.reveal th, .reveal td { padding: 3px 12px 3px 0; border-bottom: 1px solid #ccc; text-align: left; }
.reveal pre { font: 18px/1.3 ui-monospace, monospace; margin: 0 0 10px; width: 100%; box-shadow: none;
  white-space: pre-wrap; }
.jp-InputPrompt, .jp-OutputPrompt, .jp-Collapser { display: none; }
.jp-CodeCell .jp-Cell-inputWrapper { display: none; }
.celltag_source .jp-Cell-outputWrapper { display: none; }
.code .celltag_source .jp-Cell-outputWrapper { display: block; }
.code .jp-CodeCell .jp-Cell-inputWrapper { display: block; background: #f5f5f5; padding: 6px 10px; margin: 0 0 10px; }
.reveal .progress { color: #7b2d8b; } .reveal .controls { color: #7b2d8b; }
"""


def by_headings(cells):
    """Cells, divided at headings, whose metadata say where slides begin, as nbconvert reads it.

    A cell that prints the library's source is tagged: that is code, too.
    """
    made, kept, used = [], True, 0
    for cell in _divided(cells):
        level, title = _heading(cell)
        if level:
            kept = not title.startswith(SKIPPED)
        if not kept or _moves_in_the_site(cell) or _before_the_first_section(made, cell):
            continue
        begins, used = _begins(cell, level, used)
        cell.metadata = {"slideshow": {"slide_type": begins}, "tags": ["source"] * ("getsource(" in cell.source)}
        made.append(cell)
    return made


def _moves_in_the_site(cell):
    """Whether a cell stands for sliders, or starts the site's scripts: neither is of use on a slide."""
    return cell.source == NOTE or "repro-live" in cell.source or cell.source.startswith("<script")


def _divided(cells):
    """Cells, a Markdown cell with several headings as several."""
    for cell in cells:
        if cell.cell_type != "markdown":
            yield cell
            continue
        for number, part in enumerate(re.split(r"^(?=#{1,3} )", cell.source, flags=re.M)):
            if part.strip():
                yield nbformat.from_dict({**cell, "id": f"{cell.id}{number}", "source": part, "metadata": {}})


def _heading(cell):
    """(level, text) of the heading that a cell begins with, or (0, "")."""
    found = re.match(r"(#{1,3}) (.*)", cell.source) if cell.cell_type == "markdown" else None
    return (len(found[1]), found[2]) if found else (0, "")


def _before_the_first_section(cells, cell):
    """Imports and parameters stand between a page's title and its first section."""
    return len(cells) == 1 and cell.cell_type == "code"


def _begins(cell, level, used):
    """(slide type, letters on the slide afterwards); a picture or table fills a slide."""
    size = len(cell.source) if cell.cell_type == "markdown" else 2 * FULL * _is_shown(cell)
    if level:
        return ("subslide" if level == 3 else "slide"), size
    if size and used and used + size > 3 * FULL:
        return "subslide", size
    return "-", used + size


def _is_shown(cell):
    """Whether a code cell has a picture or a table."""
    return any({"text/html", "image/png", "image/svg+xml"} & set(output.get("data", {})) for output in cell.outputs)


class Slides(SlidesExporter):
    """nbconvert's slides with reveal.js, styles and equations within the file."""

    @pass_context
    def markdown2html(self, context, source):
        """Markdown with MathML instead of a script's equations."""
        return as_html(source)


def reveal():
    """The folder of reveal.js that sphinx-revealjs brings along.  Raises FileNotFoundError where it is missing."""
    found = find_spec("sphinx_revealjs")
    if found is None:
        raise FileNotFoundError("reveal.js is missing: it comes with sphinx-revealjs; run `make setup`")
    return Path(found.submodule_search_locations[0], "_static/revealjs/dist")


def slides_of(page, code=False):
    """The slides of an executed page (dict), as HTML.  code: whether code is shown from the start."""
    notebook = nbformat.reads(json.dumps(page), as_version=4)
    title = re.match(r"# (.*)", notebook.cells[0].source)[1]
    style = (reveal() / "reveal.css").read_text(encoding="utf-8") + STYLE + HtmlFormatter().get_style_defs(".highlight")
    script = (reveal() / "reveal.js").read_text(encoding="utf-8")
    script = re.sub(r"^//# sourceMappingURL=.*$", "", script, flags=re.M).replace("</script", "<\\/script")
    exporter = Slides(extra_loaders=[DictLoader({"slides.html.j2": TEMPLATE})], template_file="slides.html.j2")
    notebook.cells = by_headings(notebook.cells)
    about = {"title": title, "css": style, "script": script, "code": code}
    return exporter.from_notebook_node(notebook, {"slides": about})[0]


def build(pages, out, names=(), code=False):
    """Write the slides of the named pages, or of all; returns the files."""
    known = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    chosen = [name for name in known if not names or name.startswith(tuple(names))]
    if not chosen:
        raise FileNotFoundError(f"no page begins with {' or '.join(names)}; there are {known[0]} to {known[-1]}")
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for name in chosen:
        html = slides_of(executed(name, pages), code)
        files.append(out / f"{name}.html")
        files[-1].write_text(html, encoding="utf-8")
    return files


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="PAGE", help="the beginning of a page's name, as 02; default: all")
    parser.add_argument("--pages", type=Path, default=ROOT / "outputs/pages", help="executed pages")
    parser.add_argument("--out", type=Path, default=ROOT / "outputs/slides")
    parser.add_argument("--code", action="store_true", help="show the code from the start")
    options = parser.parse_args()
    try:
        files = build(options.pages, options.out, options.names, options.code)
    except FileNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Done: open {files[0]} in a browser.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

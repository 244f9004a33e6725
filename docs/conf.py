"""Sphinx's settings for the site; `make site` gathers the pages and calls it (docs/build_site.py)."""

import re

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

project = "Colorful Image Colorization, rebuilt"
author = "the authors of this replication"
extensions = ["myst_nb", "sphinx.ext.autodoc"]
root_doc = "README"
language = "en"

nb_execution_mode = "off"  # the pages come executed
nb_ipywidgets_js = {}  # nothing is fetched: a widget's first state stands above it as a picture
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing", "myst.header", "mystnb.unknown_mime_type", "toc.not_included"]

autodoc_default_options = {"members": True, "member-order": "bysource", "ignore-module-all": True}
autodoc_preserve_defaults = True  # as the code has them: no folder of this machine
html_domain_indices = False

html_theme = "furo"  # dark and light, with fonts and scripts of its own
html_title = project
html_static_path = ["static"]
html_css_files = ["site.css", "live.css"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"


def _mathml(latex, display):
    """Equations as MathML, which browsers draw by themselves: no script, and a screen reader can say them."""
    return convert(re.sub(r"\\tag\{.*?\}", "", latex.strip()), display=display)


def _inline(translator, node):
    translator.body.append(_mathml(node.astext(), "inline"))
    raise SkipNode


def _block(translator, node):
    translator.body.append(f'<div class="math">{_mathml(node.astext(), "block")}</div>')
    raise SkipNode


LAID_OUT = re.compile(r"^ |\S {3,}\S", re.M)  # equations, examples and lists in columns keep their lines
MARKS = re.compile(r"""`([^`]+)`|([\\`*_|"'])""")  # code, or what reStructuredText would take for a mark of its own
NEW_PARAGRAPH = re.compile(r"\n(?=\w+(?:, \w+)*: |Returns |Raises )")


def as_rst(docstring):
    """A docstring of this project, which is plain text, as reStructuredText: a list of lines."""
    lines = []
    for block in re.split(r"\n\s*\n", docstring.strip("\n")):
        if LAID_OUT.search(block):
            lines += [".. code-block:: text", "", *(f"   {line}" for line in block.split("\n")), ""]
            continue
        for paragraph in NEW_PARAGRAPH.split(block):
            # An escaped space is not shown. The first keeps the paragraph one, the others let code touch a letter.
            text = MARKS.sub(lambda found: rf"\ :py:obj:`{found[1]}`\ " if found[1] else f"\\{found[2]}", paragraph)
            lines += ["\\ " + " ".join(text.split()), ""]
    return lines


def _process_docstring(app, what, name, obj, options, lines):
    lines[:] = as_rst("\n".join(lines))


def setup(app):
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("autodoc-process-docstring", _process_docstring)

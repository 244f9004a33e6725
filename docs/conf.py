"""Sphinx's settings for the site; `make site` gathers the pages and calls it (docs/build_site.py)."""

import re

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

project = "Colorful Image Colorization, rebuilt"
author = "the authors of this replication"
extensions = ["myst_nb"]
root_doc = "README"
language = "en"

nb_execution_mode = "off"  # the pages come executed
nb_ipywidgets_js = {}  # nothing is fetched: a widget's first state stands above it as a picture
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing", "myst.header", "mystnb.unknown_mime_type", "toc.not_included"]

html_theme = "furo"  # dark and light, with fonts and scripts of its own
html_title = project
html_static_path = ["static"]
html_css_files = ["site.css"]
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


def setup(app):
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))

"""Markdown as HTML for what is carried away: slides and the sheet.  Equations are MathML: no script, no network."""

import re

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin


def mathml(latex, display="inline"):
    """An equation as MathML.  display: "inline" or "block"."""
    return convert(re.sub(r"\\tag\{.*?\}", "", latex.strip()), display=display)


def as_html(markdown):
    """Markdown with equations as HTML; what links to another file of the repository becomes plain words."""
    alone = re.sub(r"\[([^\]]+)\]\((?!https?:)[^)\s]+\)", r"\1", markdown)
    return _RENDERER.render(alone)


_RENDERER = MarkdownIt("commonmark", {"html": True}).enable("table")
_RENDERER.use(
    dollarmath_plugin,
    renderer=lambda latex, options: mathml(latex, "block" if options["display_mode"] else "inline"),
)

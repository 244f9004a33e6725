"""How a page shows a Figure or a table, in the house style.

Colour is never the only carrier of meaning: numbers stand beside every picture, every figure has a caption
and alt text.
"""

import base64
import html
import io
import re

import matplotlib.pyplot as plt
from IPython.display import HTML, display

STYLE = {
    "figure.dpi": 100,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "figure.constrained_layout.use": True,
    "image.interpolation": "nearest",
}
LONG = 60  # letters of a cell that is read as a sentence
MARKERS = {"regression": "s", "classification": "o", "rebalanced": "^", "gray": "x", "random": "+"}
LINES = {"regression": ":", "classification": "--", "rebalanced": "-", "gray": "-.", "random": (0, (1, 4))}
COLORS = {
    "regression": "#b5651d",
    "classification": "#2a6f97",
    "rebalanced": "#7b2d8b",
    "gray": "#777777",
    "random": "#3a8f4d",
}


def new_figure(columns=1, rows=1, width=None, height=None, **options):
    """A Figure in the house style and its axes; sizes in inches."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(rows, columns, figsize=(width or 3.2 * columns, height or 2.8 * rows), **options)
    plt.close(figure)  # else the notebook shows it a second time, without caption
    return figure, axes


def to_png(figure):
    """PNG bytes of a Figure."""
    buffer = io.BytesIO()
    with plt.rc_context(STYLE):
        figure.savefig(buffer, format="png", dpi=figure.get_dpi())
    return buffer.getvalue()


def to_html(figure, caption, alt):
    """A Figure as one self-contained piece of HTML, with caption and alt text."""
    picture = base64.b64encode(to_png(figure)).decode()
    return (
        f'<figure style="margin:0"><img style="max-width:100%" alt="{html.escape(alt, quote=True)}" '
        f'src="data:image/png;base64,{picture}"><figcaption><em>{html.escape(caption)}</em></figcaption></figure>'
    )


def show(figure, caption, alt):
    """Show a Figure in the page with its caption and alt text."""
    display(HTML(to_html(figure, caption, alt)))


def show_table(header, rows, caption):
    """Show a table: header of strings, rows of strings or numbers.

    The first column and those that hold sentences are to the left, the others to the right.
    """
    of_column = list(zip(*rows, strict=True))
    sides = ["left" if any(len(str(cell)) > LONG for cell in cells) else "right" for cells in of_column]
    sides = ["left", *sides[1:]] if rows else ["left"] * len(header)

    def line(tag, values):
        cells = zip(sides, map(_cell_text, values), strict=True)
        return "<tr>" + "".join(f'<{tag} style="text-align:{side}">{text}</{tag}>' for side, text in cells) + "</tr>"

    body = line("th", header) + "".join(line("td", row) for row in rows)
    table = f"<table><caption><em>{html.escape(caption)}</em></caption>{body}</table>"
    # wider than the page, it scrolls in a box of its own, which the keyboard reaches
    box = f'<div tabindex="0" role="region" aria-label="{html.escape(caption)}" style="overflow-x:auto">'
    display(HTML(f"{box}{table}</div>"))


def _cell_text(value):
    if value is None:
        return "&mdash;"
    text = html.escape(f"{value:.3f}" if isinstance(value, float) else str(value))
    return re.sub(r"\[[^][]*\]", r'<span style="white-space:nowrap">\g<0></span>', text)  # an interval on one line

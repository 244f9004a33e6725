"""A sheet to print: every exercise by hand of the pages and exercises, with blanks, and the answers on the last sheet.

    python docs/build_sheet.py [--out outputs/by_hand.html]

Made from the notebooks' own text.  A4; print it from the browser.
"""

import argparse
import json
import re
import sys
from html import escape
from pathlib import Path

from by_hand import BY_HAND
from rendering import as_html

ROOT = Path(__file__).resolve().parents[1]
IS_ONE = re.compile(r"By hand|First by hand|^#.*by hand", re.M)
LEFT_OUT = ("Goes with", "Work on what", "*Paper:*")  # paragraphs that begin so are not for paper
STYLE = """
@page { size: A4; margin: 16mm 18mm 18mm; @bottom-right { content: counter(page); font: 9pt sans-serif; } }
body { font: 10.5pt/1.45 Georgia, "DejaVu Serif", serif; color: #000; max-width: 174mm; margin: 0 auto; }
h1 { font: 600 19pt/1.2 sans-serif; margin: 0 0 2mm; }
h2 { font: 600 12pt/1.2 sans-serif; margin: 0 0 1.5mm; }
h2 small { font-weight: 400; }
p, ul { margin: 0 0 2mm; }
blockquote { margin: 0 0 2mm; padding-left: 3mm; border-left: .6mm solid #999; }
.name { font-family: sans-serif; margin: 3mm 0 6mm; }
.name span { display: inline-block; width: 62mm; border-bottom: .3mm solid #000; margin-right: 8mm; }
section { break-inside: avoid; margin: 0 0 5mm; }
.blank { display: inline-block; border-bottom: .35mm solid #000; height: 1.25em; vertical-align: text-bottom; }
.blank sup { font: 6.5pt sans-serif; color: #555; vertical-align: top; line-height: 1; }
.room { height: 17mm; margin-top: 2mm; background: repeating-linear-gradient(#fff 0 8.2mm, #ccc 8.2mm 8.5mm); }
.answers { break-before: page; }
.answers td { padding: .8mm 4mm .8mm 0; vertical-align: top; border-bottom: .2mm solid #bbb; }
.answers table { border-collapse: collapse; }
.answers sup { color: #555; font: 6.5pt sans-serif; }
math { font-size: 1.05em; }
"""


class SheetError(Exception):
    """The notebooks and `by_hand.py` no longer say the same; says where."""


def cells_of(name):
    """{heading: text} of a notebook's Markdown cells in which something is done by hand."""
    cells = json.loads((ROOT / f"notebooks/{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    found = {}
    for text in texts:
        if IS_ONE.search(text):
            heading = re.findall(r"^#+ (.*)", text, flags=re.M)
            found[heading[-1] if heading else ""] = text
    return found


def title_of(name):
    """A notebook's title."""
    first = json.loads((ROOT / f"notebooks/{name}.ipynb").read_text(encoding="utf-8"))["cells"][0]
    title = re.match(r"# (.*)", "".join(first["source"]))[1]
    return title if title.startswith("Exercise") else f"Page {title}"


def with_blanks(text, phrases, where):
    """(the text with blanks for what the phrases have in brackets, the answers in order).

    Raises SheetError for a phrase that does not stand in the text just once.
    """
    answers = []
    for phrase in phrases:
        pieces = re.split(r"\[([^\]]+)\]", phrase)
        words = lambda part: r"\s+".join(map(re.escape, re.split(r"\s+", part)))
        pattern = "".join(words(piece) for piece in pieces)
        found = re.findall(pattern, text)
        if len(found) != 1:
            raise SheetError(
                f"{where}: expected once {''.join(pieces)!r}, found it {len(found)} times; the notebook has changed, "
                "so change docs/by_hand.py too"
            )
        blanked = ""
        for place, piece in enumerate(pieces):
            if place % 2:
                answers.append(piece)
                width = 0.75 * max(3, len(piece)) + 1
                piece = f'<span class="blank" style="width:{width}em"><sup>{len(answers)}</sup></span>'
            blanked += piece
        text = re.sub(pattern, lambda _, new=blanked: new, text)
    return text, answers


def shown(text):
    """What the sheet shows of a cell: no heading, and nothing after the paragraph that is done by hand."""
    paragraphs = [part for part in re.split(r"\n\s*\n", re.sub(r"^#+ .*\n", "", text, flags=re.M).strip()) if part]
    last = max((n for n, part in enumerate(paragraphs) if 'class="blank"' in part), default=len(paragraphs) - 1)
    return "\n\n".join(part for part in paragraphs[: last + 1] if not part.startswith(LEFT_OUT))


def items():
    """[(title, heading, HTML with blanks, answers)] in the notebooks' order.  Raises SheetError."""
    made = []
    pages = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    exercises = sorted(f"exercises/{path.stem}" for path in (ROOT / "notebooks/exercises").glob("*.ipynb"))
    for name in (*pages, *exercises):
        cells, listed = cells_of(name), BY_HAND.get(name, {})
        if cells.keys() ^ listed.keys():
            raise SheetError(
                f"{name}: by hand are {sorted(cells)}, docs/by_hand.py has {sorted(listed)}; write there what is new"
            )
        for heading, text in cells.items():
            blanked, answers = with_blanks(text, listed[heading], f"{name}, {heading}")
            if answers:
                made.append((title_of(name), heading, as_html(shown(blanked)), answers))
    return made


def sheet():
    """The sheet as HTML."""
    sections, rows = [], []
    for number, (title, heading, html, answers) in enumerate(items(), 1):
        about = "" if heading in ("By hand", title) else f": {escape(heading)}"
        sections.append(f'<section><h2>{number}. {escape(title)}{about}</h2>{html}<div class="room"></div></section>')
        listed = " &ensp; ".join(f"<sup>{place}</sup> {escape(one)}" for place, one in enumerate(answers, 1))
        rows.append(f"<tr><td>{number}.</td><td>{listed}</td></tr>")
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>By hand</title><style>{STYLE}</style></head><body>
<h1>By hand</h1>
<p>Every figure here can be reckoned with a pencil and a pocket calculator. Fill in the blanks; the pages and the
checks of the exercises then say the same. Two or three digits are enough.</p>
<p class="name">Name <span></span> Date <span></span></p>
{"".join(sections)}
<div class="answers"><h1>Answers</h1><table>{"".join(rows)}</table></div>
</body></html>
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "outputs/by_hand.html")
    options = parser.parse_args()
    try:
        text = sheet()
    except SheetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text, encoding="utf-8")
    print(f"Done: open {options.out} in a browser and print it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

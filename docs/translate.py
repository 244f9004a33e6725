"""Pages in other languages: a page's text comes from docs/translations/LANGUAGE/PAGE.po, its code from the page.

    python docs/translate.py de 00_start_here --update    write what is new or changed into the .po, to be translated
    python docs/translate.py de 00_start_here             write notebooks/de/00_start_here.ipynb

A .po file is what translators' programs open (Poedit, Weblate).  It has each Markdown cell, and of the code what
readers see: captions, alternative texts, titles, sliders' names, printed lines.
"""

import argparse
import ast
import html
import json
import os
import re
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
TRANSLATIONS = ROOT / "docs/translations"
NOTE = "*(Here a slider follows in JupyterLab: `make lab`. The picture above is its first state.)*"  # of the site
ABOUT = "A page's text; docs/translate.py reads it.  What stands in {braces} stays as it is."
LINK = re.compile(r"(\]\()(?!https?:|#|mailto:)([^)\s]+)")
PLACEHOLDER = re.compile(r"\{[^{}]*\}")


class TranslationError(Exception):
    """A translation that cannot be read or used; says where and why."""


# ---- what there is to translate ----


def messages(notebook):
    """{text: the id of the cell in which it stands first} of a notebook (dict), in reading order."""
    found = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            found.append((cell["id"], source))
        else:
            found += [(cell["id"], text) for *_, text in strings(source)]
    first = {}
    for cell, text in [*found, ("of the site", NOTE)]:
        first.setdefault(text, cell)
    return first


def strings(source):
    """[(first, last, text)] of the strings of a code cell that readers see, with their places in its UTF-8 bytes.

    These stand in calls of `figures` and `print`, in `description=`, and in lists called `titles`.  The text of an
    f-string has its {placeholders}.
    """
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = {}
    for node in _shown(ast.parse(source)):
        for one in _strings_in(node):
            first = starts[one.lineno - 1] + one.col_offset
            last = starts[one.end_lineno - 1] + one.end_col_offset
            text = one.value if isinstance(one, ast.Constant) else _inner(source.encode()[first:last].decode())
            if text and re.search("[a-z]", PLACEHOLDER.sub("", text)):
                found[first] = (first, last, text)
    return [found[first] for first in sorted(found)]


def _shown(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.value if isinstance(node.func, ast.Attribute) else node.func
            if isinstance(name, ast.Name) and name.id in ("figures", "print"):
                yield from [*node.args, *(keyword.value for keyword in node.keywords)]
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "description")
        elif isinstance(node, ast.Assign) and [getattr(one, "id", "") for one in node.targets] == ["titles"]:
            yield node.value


def _strings_in(node):
    """The strings within an expression, f-strings whole, without the keys of a[...]."""
    if isinstance(node, ast.JoinedStr) or isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node
    elif not isinstance(node, ast.Subscript):
        for child in ast.iter_child_nodes(node):
            yield from _strings_in(child)


def _inner(literal):
    """What stands between the quotes of an f-string of one piece, else None."""
    found = re.fullmatch(r'f"([^"\\]*)"', literal)
    return found and found[1]


# ---- a translation ----


def read(language, page):
    """The Catalog of a page.  Raises TranslationError if there is none, or it is broken."""
    file = TRANSLATIONS / language / f"{page}.po"
    try:
        with open(file, "rb") as stream:
            return read_po(stream, locale=language, abort_invalid=True)
    except Exception as error:  # babel's readers raise many kinds
        reason = getattr(error, "strerror", None) or error
        raise TranslationError(
            f"{file}: {reason}; make it with: docs/translate.py {language} {page} --update"
        ) from None


def translation_of(catalog, text):
    """The translation of a text, or None; one that is marked fuzzy, as its original has changed, counts as none."""
    message = catalog.get(text)
    return (message.string or None) if message and not message.fuzzy else None


def missing(notebook, catalog):
    """["cell ID: first line"] of what has no translation: it is new, or the original has changed since."""
    return [
        f"cell {cell}: {text.split(chr(10))[0]}"
        for text, cell in messages(notebook).items()
        if not translation_of(catalog, text)
    ]


def updated(notebook, catalog, language):
    """A Catalog with all of a page's messages; translations whose original has changed are kept as fuzzy."""
    template = Catalog()
    for text, cell in messages(notebook).items():
        template.add(text, auto_comments=[f"cell {cell}"]).flags.discard("python-format")  # a per cent sign is none
    catalog = catalog or Catalog(locale=language, fuzzy=False, header_comment=f"# {ABOUT}")
    catalog.update(template)
    catalog.header_comment = f"# {ABOUT}"
    for message in catalog:
        message.flags.discard("python-format")
    return catalog


def translated(notebook, catalog, up="../"):
    """A notebook (dict) in the catalog's language; what has no translation stays as it is.

    up: how one gets from the translation's folder to the page's, for links.  Outputs that stand in the notebook are
    translated as far as they quote its strings.  Raises TranslationError for placeholders that do not fit.
    """
    cells = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            text = translation_of(catalog, source) or source
            text = LINK.sub(lambda found: found[1] + os.path.normpath(up + found[2]), text)
        else:
            text = _code(cell, source, catalog)
            cell = dict(cell, outputs=[_output(one, source, catalog) for one in cell["outputs"]])
        cells.append(dict(cell, source=text.splitlines(keepends=True)))
    return dict(notebook, cells=cells)


def _code(cell, source, catalog):
    code = source.encode()
    for first, last, text in reversed(strings(source)):
        other = translation_of(catalog, text)
        if other is None:
            continue
        literal = json.dumps(other, ensure_ascii=False)
        if code[first:last].startswith(b"f"):
            if sorted(PLACEHOLDER.findall(text)) != sorted(PLACEHOLDER.findall(other)) or '"' in other or "\\" in other:
                raise TranslationError(
                    f"cell {cell['id']}: {other!r} needs the placeholders of {text!r}, and no quotes"
                )
            literal = f'f"{other}"'
        code = code[:first] + literal.encode() + code[last:]
    return code.decode()


def _output(output, source, catalog):
    """An output whose captions, alternative texts and printed lines are translated; pictures stay as they are."""
    pairs = [(text, translation_of(catalog, text)) for *_, text in strings(source) if "{" not in text]
    pairs = sorted(((text, other) for text, other in pairs if other), key=lambda pair: -len(pair[0]))
    if "text" in output:
        return dict(output, text=_replaced("".join(output["text"]), pairs))
    data = dict(output.get("data", {}))
    if "text/html" in data:
        quoted = [(html.escape(text), html.escape(other)) for text, other in pairs if " " in text]
        data["text/html"] = _replaced("".join(data["text/html"]), quoted)
    return dict(output, data=data) if data else output


def _replaced(text, pairs):
    for old, new in pairs:
        text = text.replace(old, new)
    return text


def known():
    """[(language, page)] of all translations."""
    return sorted((file.parent.name, file.stem) for file in TRANSLATIONS.glob("*/*.po"))


def original(page):
    """The notebook of a page, as a dict.  Raises TranslationError if there is none."""
    file = ROOT / f"notebooks/{page}.ipynb"
    if not file.is_file():
        raise TranslationError(f"there is no page {page}; expected a name as 00_start_here")
    return json.loads(file.read_text(encoding="utf-8"))


def update(language, page):
    """Write what is new or changed into a page's .po; returns the file."""
    file = TRANSLATIONS / language / f"{page}.po"
    catalog = updated(original(page), read(language, page) if file.exists() else None, language)
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "wb") as stream:
        write_po(stream, catalog, width=100, omit_header=False, ignore_obsolete=True)
    return file


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("language", help="two letters, as de")
    parser.add_argument("page", help="as 00_start_here")
    parser.add_argument("--update", action="store_true", help="write what there is to translate into the .po file")
    options = parser.parse_args()
    try:
        notebook = original(options.page)
        if options.update:
            print(f"written: {update(options.language, options.page)}")
        catalog = read(options.language, options.page)
        for text in missing(notebook, catalog):
            print(f"not translated, or changed since: {text[:100]}")
        if not options.update:
            target = ROOT / f"notebooks/{options.language}/{options.page}.ipynb"
            target.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps(translated(notebook, catalog), indent=1, ensure_ascii=False) + "\n"
            target.write_text(text, encoding="utf-8")
            print(f"written: {target}")
    except TranslationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Links that open a copy of this repository in Binder and Colab, from the copy's own address on GitHub.

    python docs/links.py      fills them into README.md and docs/colab.ipynb of this copy

The site fills them in by itself when it is built.  Where the copy has no address there are no links.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"<!-- docs/links\.py -->\n.*?<!-- end -->\n", re.S)
EXPLAINED = re.compile(r"Put the owner and name of your copy on\s+GitHub in place of OWNER/NAME; the same")
SLUG = re.compile(r"[\w.-]+/[\w.-]+")


def address(root=ROOT):
    """OWNER/NAME of a copy on GitHub, or None: from GITHUB_REPOSITORY, else from git's remote `origin`."""
    given = os.environ.get("GITHUB_REPOSITORY", "")
    if SLUG.fullmatch(given):
        return given
    try:
        asked = subprocess.run(["git", "-C", root, "remote", "get-url", "origin"], capture_output=True, text=True)
    except OSError:  # no git here
        return None
    found = re.search(rf"github\.com[:/]({SLUG.pattern}?)(?:\.git)?/?$", asked.stdout.strip())
    return found[1] if asked.returncode == 0 and found else None


def binder(repository, page="00_start_here"):
    """The address that opens a page in Binder."""
    return f"https://mybinder.org/v2/gh/{repository}/HEAD?urlpath=lab/tree/notebooks/{page}.ipynb"


def colab(repository):
    """The address that opens docs/colab.ipynb in Colab."""
    return f"https://colab.research.google.com/github/{repository}/blob/main/docs/colab.ipynb"


def with_links(readme, repository):
    """README's text with the links of a copy; None: without them."""
    if repository is None:
        return BLOCK.sub("", readme)
    block = (
        "<!-- docs/links.py -->\n"
        f"Without installing anything: [mybinder.org]({binder(repository)}) builds what `.binder/` says (the first "
        f"time takes some minutes); [Colab]({colab(repository)}) opens [docs/colab.ipynb](docs/colab.ipynb), which "
        "sets everything up.\n<!-- end -->\n"
    )
    readme = EXPLAINED.sub("The same", BLOCK.sub(lambda _: block, readme))
    return re.sub(rf"(?<=git\+https://github\.com/){SLUG.pattern}", repository, readme)


def with_address(notebook, repository):
    """The text of docs/colab.ipynb with the address that it clones."""
    return re.sub(
        r'(?<="repository = )\\".*?\\"', lambda _: f'\\"https://github.com/{repository}\\"', notebook, count=1
    )


def main():
    repository = address()
    if repository is None:
        print(
            "error: this copy has no address on GitHub: expected a remote `origin` at github.com, or GITHUB_REPOSITORY "
            "as OWNER/NAME; add one (git remote add origin ...) and run this again",
            file=sys.stderr,
        )
        return 1
    for file, change in ((ROOT / "README.md", with_links), (ROOT / "docs/colab.ipynb", with_address)):
        file.write_text(change(file.read_text(encoding="utf-8"), repository), encoding="utf-8")
        print(f"{file.relative_to(ROOT)}: opens {repository}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

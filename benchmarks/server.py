"""python -m benchmarks.server [PAGE ...] [--json FILE]: what a server for a class needs.

The size of the environment on disk, and for each page the most memory that its kernel has held while it was run by
hand, top to bottom (resident, shared libraries included).  Results of the pages go to a folder that is thrown away.
"""

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient

from repro import paths
from repro.files import write_atomically
from repro.pages.records import as_json, run_description

PEAK = """
import resource, sys
try:  # of this program alone; what getrusage says counts the one that started it, too
    lines = open("/proc/self/status").read().splitlines()
    print("peak", next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024)
except OSError:
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


def size_on_disk(folder):
    """Bytes of the files in a folder; a file with several names counts once."""
    found = {(entry.st_dev, entry.st_ino): entry.st_blocks * 512 for entry in map(os.lstat, _files(folder))}
    return sum(found.values())


def _files(folder):
    return (os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)


def peak_of(page, scratch):
    """Bytes that the kernel of a page has held at most.  scratch: the folder that it writes to."""
    notebook = nbformat.read(paths.NOTEBOOKS / f"{page}.ipynb", as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(PEAK))
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(paths.NOTEBOOKS)}})
    client.execute(env=os.environ | {"REPRO_SCRATCH": str(scratch)})
    return int(notebook.cells[-1].outputs[0]["text"].split()[1])


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    known = sorted(path.stem for path in paths.NOTEBOOKS.glob("*.ipynb"))
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="the beginning of a page's name; default: all")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args(arguments)
    chosen = [page for page in known if not options.pages or page.startswith(tuple(options.pages))]
    record = {"run": run_description(0), "environment_MB": round(size_on_disk(sys.prefix) / 1e6), "peak_MB": {}}
    print(f"environment {record['environment_MB']:,} MB on disk", flush=True)
    with TemporaryDirectory() as scratch:
        for page in chosen:
            record["peak_MB"][page] = round(peak_of(page, scratch) / 1e6)
            print(f"{page}: {record['peak_MB'][page]:,} MB at most", flush=True)
    if options.json:
        write_atomically(Path(options.json), as_json(record))
    return record


if __name__ == "__main__":
    main()

"""How soon a demonstration answers: from the moved control to the new picture, for every page."""

import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import time
from tempfile import TemporaryDirectory

from benchmarks.measure import Figure
from repro import paths
from repro.pages import figures
from repro.pages.widgets import Pointer

GOAL = 0.15  # seconds
PAGES = sorted(page.stem for page in paths.NOTEBOOKS.glob("*.ipynb"))


def run(small=False):
    """A Figure for each demonstration, beside the goal; pages in reading order, each in a process of its own.

    small: only the first page, which has sliders, and the third, which has a plane to point at.
    """
    found = []
    with TemporaryDirectory() as folder:
        places = {"REPRO_SCRATCH": f"{folder}/scratch", "REPRO_OUTPUTS": f"{folder}/outputs", "MPLBACKEND": "agg"}
        for page in PAGES[:3:2] if small else PAGES:
            command = [sys.executable, "-m", "benchmarks.demos", page]
            answer = subprocess.run(
                command, env=os.environ | places, cwd=paths.ROOT, text=True, capture_output=True, check=True
            )
            for name, seconds in json.loads(answer.stdout.splitlines()[-1]).items():
                found.append(
                    Figure(f"page {page[:2]}, {name}", "150 ms", seconds, GOAL, reading="plain", goal="at most 1 x")
                )
    return found


def other_values(slider):
    """A few values that a control can be moved to."""
    if isinstance(slider, Pointer):
        left, bottom, right, top = slider.extent
        return [[left + share * (right - left), bottom + share * (top - bottom)] for share in (0.2, 0.4, 0.6, 0.8)]
    if hasattr(slider, "options"):
        return list(slider.options)[:4]
    return [type(slider.value)(slider.min + share * (slider.max - slider.min)) for share in (0.1, 0.4, 0.7, 0.9)]


def seconds_by_demo(page):
    """{demonstration: median seconds of a redraw} of a page, run top to bottom without a kernel."""
    notebook = json.loads((paths.NOTEBOOKS / f"{page}.ipynb").read_text())
    found, namespace, original = {}, {"__name__": "__main__", "display": lambda *shown: None}, figures.slider_demo

    def timed(draw, alt, **sliders):
        demo, times = original(draw, alt, **sliders), []
        for slider in sliders.values():
            for value in other_values(slider):
                if value == slider.value:
                    continue  # nothing would be drawn
                began = time.perf_counter()
                slider.value = value
                times.append(time.perf_counter() - began)
        found[draw.__name__] = statistics.median(times)
        return demo

    figures.slider_demo = timed
    os.chdir(paths.NOTEBOOKS)
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), page, "exec"), namespace)
    return found


if __name__ == "__main__":
    print(json.dumps(seconds_by_demo(sys.argv[1])))

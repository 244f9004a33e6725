"""Colouring while other programs keep the machine busy: all threads beside a single one, alone and in a crowd."""

import json
import os
import subprocess
import sys

from benchmarks.measure import Figure
from repro.paths import ROOT

BUSY = "while True: pass"
COLOR = """
import json, sys, time
threads, megapixels, rounds = json.loads(sys.argv[1])
import repro, torch
torch.set_num_threads(threads or torch.get_num_threads())
from benchmarks.photographs import photograph
from repro.colorizer import Colorizer
model, photo, seconds = Colorizer.load(), photograph(megapixels), []
for _ in range(rounds + 1):
    began = time.perf_counter()
    model.colorize(photo)
    seconds.append(time.perf_counter() - began)
print(sorted(seconds[1:])[rounds // 2])
"""


def run(small=False):
    """A Figure for each crowd; small: beside none and one other program, on a tiny photograph."""
    megapixels, rounds = (0.02, 1) if small else (2, 5)
    figures = []
    for crowd in (0, 1) if small else (0, 1, os.cpu_count()):
        beside = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(crowd)]
        try:
            seconds = {threads: median_seconds(threads, megapixels, rounds) for threads in (0, 1)}
        finally:
            for process in beside:
                process.kill()
                process.wait()
        name = f"colorize {megapixels:g} megapixels beside {crowd} busy programs"
        figures.append(Figure(name, "one thread", seconds[0], seconds[1], reading="plain", goal="at most 1.2 x"))
    return figures


def median_seconds(threads, megapixels, rounds):
    """In a process of its own, with so many threads (0: as many as by default)."""
    command = [sys.executable, "-c", COLOR, json.dumps([threads, megapixels, rounds])]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)

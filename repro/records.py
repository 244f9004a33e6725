"""Numbers on disk: what a page measured, what machine it ran on, and the recorded runs that README quotes."""

import json
import os
import platform
from datetime import date

import torch

from repro import paths
from repro.weights import write_atomically


def write_metrics(name, values, pipeline=False):
    """Write {metric: number} as outputs/metrics/<name>.json (scratch/ when a page is run by hand).  Returns the path."""
    path = paths.destination(f"metrics/{name}.json", pipeline)
    write_atomically(path, (json.dumps(values, indent=1) + "\n").encode())
    return path


def read_metrics(name, pipeline=False, made_by="an earlier page"):
    """What `write_metrics` wrote.  Raises FileNotFoundError that says which page makes it."""
    return json.loads(paths.find(f"metrics/{name}.json", pipeline, made_by).read_text())


def hardware():
    """One line about this machine: processor, cores, accelerator."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            model = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{model}, {os.cpu_count()} cores, {accelerator}"


def run_description(seed):
    """Date, hardware and versions of a run, as recorded beside its numbers."""
    return {
        "date": date.today().isoformat(),
        "hardware": hardware(),
        "seed": seed,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }

"""Numbers on disk: what a page measured, what machine it ran on, and the recorded runs that README quotes."""

import json
import os
import platform
import re
from datetime import date

import torch

from repro import paths
from repro.weights import write_atomically


def write_metrics(name, values, pipeline=False):
    """Write {metric: number} as outputs/metrics/<name>.json (scratch/ when a page is run by hand)."""
    path = paths.destination(f"metrics/{name}.json", pipeline)
    write_atomically(path, (json.dumps(values, indent=1) + "\n").encode())


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


def keep(name):
    """Keep the last pipeline run as results/<name>.json and .png, in git, and quote it in README.  Returns
    the path of the numbers."""
    numbers, picture = paths.OUTPUTS / "metrics/12_results.json", paths.OUTPUTS / "figures/methods.png"
    for file in (numbers, picture):
        if not file.exists():
            raise FileNotFoundError(f"{file} is not there; run the pipeline first: make repro")
    write_atomically(paths.RESULTS / f"{name}.png", picture.read_bytes())
    write_atomically(paths.RESULTS / f"{name}.json", numbers.read_bytes())
    readme = paths.ROOT / "README.md"
    write_atomically(readme, quote_results(readme.read_text()).encode())
    return paths.RESULTS / f"{name}.json"


def quote_results(text):
    """README with every block between `<!-- results/NAME.json -->` and `<!-- end -->` written anew from that
    file."""

    def block(match):
        record = paths.RESULTS / f"{match[1]}.json"
        body = markdown_table(json.loads(record.read_text())) if record.exists() else "(not recorded yet)"
        return f"<!-- results/{match[1]}.json -->\n{body}\n<!-- end -->"

    return re.sub(r"<!-- results/(\w+)\.json -->\n.*?<!-- end -->", block, text, flags=re.S)


def markdown_table(results):
    """A recorded run as Markdown: what ran, and the table of raw accuracy beside the paper's."""
    published = json.loads((paths.RESULTS / "published.json").read_text())["table_1"]
    ours, run = results["raw_accuracy"], results["run"]
    percent = lambda key, name: f"{100 * ours[key][name]:.1f}"
    rows = [
        f"| {row['name']} | {row['auc']} | {row['auc_rebalanced']} | {percent(row['key'], 'auc')} | {percent(row['key'], 'auc_rebalanced')} |"
        for row in published
        if row["key"] in ours
    ]
    minutes = ", ".join(f"{name} {t['seconds'] / 60:.1f}" for name, t in results["training"].items())
    samples = next(iter(results["training"].values()))["samples"]
    what = "painted scenes" if ours["source"] == "world" else f"photographs ({ours['source']})"
    return "\n".join(
        [
            "| | AuC, paper | rebalanced, paper | AuC, here | rebalanced, here |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"Here: {ours['photographs']} unseen {what} of {ours['pixels']} pixels; {samples:,} training samples for each model; minutes of "
            f"training: {minutes}. Recorded {run['date']} on {run['hardware']}; seed {run['seed']}, Python {run['python']}, torch {run['torch']}.",
        ]
    )

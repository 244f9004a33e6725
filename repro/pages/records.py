"""Numbers on disk: what a page measured, what machine it ran on, and the recorded runs that README quotes."""

import json
import os
import platform
import re
from datetime import date

import torch

from repro import paths
from repro.colorizer.weights import PRETRAINED
from repro.files import write_atomically

DOCUMENTS = paths.ROOT / "README.md", PRETRAINED / "MODEL_CARD.md"  # that quote results/


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
    """Keep the last pipeline run as results/<name>.json and .png, in git, and quote it in README.

    README's first picture is page 11's.  Returns the path of the numbers.
    """
    numbers, picture = paths.OUTPUTS / "metrics/12_results.json", paths.OUTPUTS / "figures/methods.png"
    first = paths.OUTPUTS / "legacy/first.png"
    for file in (numbers, picture, first):
        if not file.exists():
            raise FileNotFoundError(f"{file} is not there; run the pipeline first: make repro")
    record = json.loads(numbers.read_text()) | {"page_minutes": page_minutes()}
    write_atomically(paths.RESULTS / f"{name}.png", picture.read_bytes())
    write_atomically(paths.RESULTS / "first.png", first.read_bytes())
    write_atomically(paths.RESULTS / f"{name}.json", (json.dumps(record, indent=1) + "\n").encode())
    quote_everywhere()
    return paths.RESULTS / f"{name}.json"


def quote_everywhere():
    """Bring the tables in README and in the model card up to date with results/."""
    for document in DOCUMENTS:
        write_atomically(document, quote_results(document.read_text()).encode())


def page_minutes():
    """{page: minutes} that papermill took for every executed page of the pipeline."""
    found = {}
    for page in sorted((paths.OUTPUTS / "pages").glob("*.ipynb")):
        duration = json.loads(page.read_text())["metadata"].get("papermill", {}).get("duration")
        if duration:
            found[page.stem] = duration / 60
    return found


def quote_results(text):
    """README with every block between `<!-- results/NAME.json -->` and `<!-- end -->` written anew from that file."""

    def block(match):
        record = paths.RESULTS / f"{match[1]}.json"
        found = json.loads(record.read_text()) if record.exists() else None
        body = (
            "(not recorded yet)"
            if found is None
            else held_out_table(found)
            if "held_out" in found
            else markdown_table(found)
        )
        return f"<!-- results/{match[1]}.json -->\n{body}\n<!-- end -->"

    return re.sub(r"<!-- results/(\w+)\.json -->\n.*?<!-- end -->", block, text, flags=re.S)


def method_name(method):
    """What a table calls a method that `python -m repro measure` measured."""
    return "encoder (beyond the paper)" if method == "encoder" else method


def held_out_rows(results, section="held_out"):
    """What `python -m repro measure` found as a table: its header, and a row for each method of each collection.

    section: "held_out", whose cells are a mean ± half of its interval; or "differences" of two methods on the same
    photographs, each with the ends of its interval.  In per cent where the figure is a share; None where it was
    not measured.
    """
    number, methods = results.get("photographs", {}), section == "held_out"
    names = _held_out_figures(results)
    cell, name_of = (_with_half, method_name) if methods else (_with_ends, str)
    rows = [
        [
            f"{collection} ({number[collection]:,})" if collection in number else collection,
            name_of(name),
            *(cell(found[figure], figure) if figure in found else None for figure in names),
        ]
        for collection, of_collection in results.get(section, {}).items()
        for name, found in of_collection.items()
    ]
    return ["photographs", "method" if methods else "difference, same photographs", *names.values()], rows


def _held_out_figures(results):
    """{figure: what a table calls it}, classifiers' answers among a collection's classes last."""
    names = {"auc": "AuC", "auc_rebalanced": "rebalanced AuC", "psnr": "PSNR (dB)", "colorfulness": "colourfulness"}
    every = (figure for methods in results["held_out"].values() for found in methods.values() for figure in found)
    for figure in every:
        if figure.startswith("top1 of"):
            *_, classes, classifier = figure.split()
            names[figure] = f"top-1 of {classes} {re.split('[/:]', classifier)[-1]}"
    return names


def _scale(figure):
    return 100 if figure.startswith(("auc", "top1")) else 1


def _with_half(found, figure):
    half = (found["high"] - found["low"]) / 2
    return f"{_scale(figure) * found['mean']:.1f} ± {_scale(figure) * half:.1f}"


def _with_ends(found, figure):
    return "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(_scale(figure) * found[k] for k in ("mean", "low", "high")))


def held_out_table(results):
    """What `python -m repro measure` found as Markdown: each method of each collection, then each difference."""
    run, lines = results["run"], []
    for section in ("held_out", "differences"):
        header, rows = held_out_rows(results, section)
        if rows:
            first, *others = (f"| {' | '.join(cell or '' for cell in row)} |" for row in (header, *rows))
            lines += [first, "|---" * len(header) + "|", *others, ""]
    lines.append(
        "Per cent, ± half of the 95 % interval over photographs; of differences the whole interval, both methods drawn "
        "together. Rebalanced AuC falls with the number of photographs, so compare it within one collection only. "
        f"Measured {run['date']} on {run['hardware']}; "
        f"seed {run['seed']}, Python {run['python']}, torch {run['torch']}."
    )
    return "\n".join(lines)


def markdown_table(results):
    """A recorded run as Markdown: what ran, and its table beside the paper's."""
    published = json.loads((paths.RESULTS / "published.json").read_text())["table_1"]
    ours, run = results["raw_accuracy"], results["run"]
    percent = lambda key, name: f"{100 * ours[key][name]:.1f}"
    asked = next((found for found in results.get("semantic", {}).values() if isinstance(found, dict)), {})
    top1 = lambda key: f"{100 * asked[key]['mean']:.1f}" if key in asked else ""
    rows = [
        f"| {row['name']} | {row['auc']} | {percent(row['key'], 'auc')} | {row['auc_rebalanced']} | "
        f"{percent(row['key'], 'auc_rebalanced')} | {row['vgg_top1']} | {top1(row['key'])} |"
        for row in published
        if row["key"] in ours
    ]
    minutes = ", ".join(f"{name} {t['seconds'] / 60:.1f}" for name, t in results["training"].items())
    samples = next(iter(results["training"].values()))["samples"]
    what = "painted scenes" if ours["source"] == "world" else "photographs"
    pages = results.get("page_minutes")
    whole = f"; all pages together: {sum(pages.values()):.0f} minutes" if pages else ""
    return "\n".join(
        [
            "| | AuC, paper | here | rebalanced AuC, paper | here | classifier's top-1, paper | here |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            f"Here: {ours['photographs']} unseen {what} of {ours['pixels']} pixels; "
            f"{samples:,} training samples for each model; minutes of training: {minutes}{whole}. "
            f"Recorded {run['date']} on {run['hardware']}; "
            f"seed {run['seed']}, Python {run['python']}, torch {run['torch']}.",
        ]
    )

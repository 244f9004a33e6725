"""Numbers on disk: what a page measured, what machine it ran on, and the recorded runs that README quotes."""

import json
import os
import platform
import re
from datetime import date

import torch

from repro import paths
from repro.colorizer.weights import PRETRAINED
from repro.evaluation.paired import FAILS
from repro.files import write_atomically
from repro.pages.hints import hints_table
from repro.pages.tables import (
    FIGURES,
    ablations_table,
    choices_table,
    coverage_table,
    markdown,
    probes_table,
    temperature_table,
)

DOCUMENTS = paths.ROOT / "README.md", PRETRAINED / "MODEL_CARD.md"  # that quote results/


def write_metrics(name, values, pipeline=False):
    """Write {metric: number} as outputs/metrics/<name>.json (scratch/ when a page is run by hand)."""
    path = paths.destination(f"metrics/{name}.json", pipeline)
    write_atomically(path, (json.dumps(values, indent=1) + "\n").encode())


def read_metrics(name, pipeline=False, made_by="an earlier page"):
    """What `write_metrics` wrote, with a line where the figures are of the models that come along for the pages.

    Raises FileNotFoundError that says which page makes it.
    """
    path = paths.find(f"metrics/{name}.json", pipeline, made_by)
    if paths.READY in path.parents:
        print(f"{name}: measured on the small networks that come along, until {made_by} is run here.")
    return json.loads(path.read_text())


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


def as_json(record):
    """The bytes of a file under results/."""
    return (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode()


def keep(name):
    """Keep the last pipeline run as results/<name>.json and .png, in git, and quote it in README.

    README's first picture is page 11's.  Returns the path of the numbers.
    """
    numbers, picture = paths.OUTPUTS / "metrics/12_results.json", paths.OUTPUTS / "figures/methods.png"
    first = paths.OUTPUTS / "legacy/first.png"
    for file in (numbers, picture, first):
        if not file.exists():
            raise FileNotFoundError(f"{file} is not there; run the pipeline first: make repro")
    try:
        record = json.loads(numbers.read_text()) | {"page_minutes": page_minutes()}
    except ValueError:
        raise ValueError(f"{numbers} is broken; run page 12 of the pipeline again: make repro") from None
    if (timed := paths.OUTPUTS / "stage_seconds.json").exists():
        record["stage_seconds"] = json.loads(timed.read_text())
    write_atomically(paths.RESULTS / f"{name}.png", picture.read_bytes())
    write_atomically(paths.RESULTS / "first.png", first.read_bytes())
    write_atomically(paths.RESULTS / f"{name}.json", as_json(record))
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
    """A document with every block between `<!-- results/NAME.json -->` and `<!-- end -->` written anew from that file.

    `results/claims.json, in short` is the list of verdicts alone.
    """

    def block(match):
        record = paths.RESULTS / f"{match[1]}.json"
        body = _quoted(json.loads(record.read_text()), match[2]) if record.exists() else "(not recorded yet)"
        return f"<!-- results/{match[1]}.json{match[2] or ''} -->\n{body}\n<!-- end -->"

    return re.sub(r"<!-- results/(\w+)\.json(, in short)? -->\n.*?<!-- end -->", block, text, flags=re.S)


def _quoted(record, in_short):
    if "claims" in record:
        return claims_in_short(record) if in_short else claims_table(record)
    if "hints" in record:
        return hints_table(record)
    if "temperature" in record:
        return temperature_table(record)
    if "choices" in record:
        return choices_table(record)
    if "layers" in record:
        return probes_table(record)
    if "coverage" in record:
        return coverage_table(record)
    if "models" in record and "recipe" in record:
        return ablations_table(record)
    return held_out_table(record) if "held_out" in record else markdown_table(record)


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
    names = dict(FIGURES)
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
    drawn = results.get("random_from") or {"": "the others of the set"}
    for section in ("held_out", "differences"):
        header, rows = held_out_rows(results, section)
        if rows:
            lines += [markdown(header, rows), ""]
    lines.append(
        "Per cent, ± half of the 95 % interval over photographs; of differences the whole interval, of both methods on "
        "the same photographs (rebalanced AuC: jackknife; the others: bootstrap). *Random* takes the colours of other "
        f"photographs: {'; '.join(dict.fromkeys(drawn.values()))}. Rebalanced AuC falls with the number of "
        "photographs, so compare it within one collection only. "
        f"Measured {run['date']} on {run['hardware']}; "
        f"seed {run['seed']}, Python {run['python']}, torch {run['torch']}."
    )
    return "\n".join(lines)


# ---- the paper's claims ----


def claims_rows(found):
    """What `claims.table` found as a table for a page or README: its header, and a row for each claim."""
    header = [
        "the paper's claim, with its figures", "the painted world, against theory",
        "photographs, the network at quarter width", "the authors' weights", "verdict",
    ]  # fmt: skip
    rows = []
    for row in found["claims"]:
        columns = [row[name] for name in ("world", "photographs", "authors")]
        cells = [f"{column['verdict']}: {column['text']}" if column["text"] else None for column in columns]
        rows.append([f"{row['claim']} ({row['paper']})", *cells, _word(row)])
    return header, rows


def _word(row):
    return row["verdict"] + (" (painted world)" if row["of"] == "world" else "")


def claims_in_short(found):
    """Which claims have which verdict as Markdown: first what does not hold, a line for each with its figures."""
    lines = []
    for verdict in sorted(found["verdicts"], key=lambda verdict: verdict != FAILS):
        of_it = [row for row in found["claims"] if row["verdict"] == verdict]
        names = [row["claim"] + _word(row).removeprefix(verdict) for row in of_it]
        head = f"- **{verdict.capitalize()}** ({len(of_it)}): "
        if verdict == FAILS:
            figures = [f"The paper: {row['paper']}. Here: {row[row['of']]['text']}." for row in of_it]
            lines += [head, *(f"  - {name}. {said}" for name, said in zip(names, figures, strict=True))]
        else:
            lines.append(f"{head}{'; '.join(names) or 'none'}.")
    return "\n".join(line.rstrip() for line in lines)


def claims_table(found):
    """The table of claims as Markdown, with its rule."""
    note = (
        "Differences in points (of AuC, of top-1), or in per cent of the truth's colourfulness, with 95 % intervals. "
        "Colourfulness is mean chroma in the painted world and Hasler and Suesstrunk's measure on photographs. In "
        "brackets, or after “of”: how many photographs or scenes. Rebalanced AuC falls with their number, so only "
        "differences of one collection are compared. *Theory*: the lead that perfect networks would have on the same "
        "scenes. *Trained*: the classifier of page 07 that was trained on these scenes. “64 px”: shorter trainings, "
        "measured on photographs shrunk to 64 pixels (`results/ablations.json`). An empty cell: not measured."
    )
    return f"{markdown(*claims_rows(found))}\n\n{note} {found['rule']}"


# ---- a run ----


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
            f"Here: {ours['photographs']} unseen {what} of {ours['pixels']} pixels{_asked_of(results)}; "
            f"{samples:,} training samples for each model; minutes of training: {minutes}{whole}."
            f"{_furthest(results['training'])} Recorded {run['date']} on {run['hardware']}; "
            f"seed {run['seed']}, Python {run['python']}, torch {run['torch']}.",
        ]
    )


def _asked_of(results):
    """How many the classifier was asked about, where these are others."""
    number = results.get("semantic", {}).get("photographs")
    return f", {number:,} for the classifier" if number and number != results["raw_accuracy"]["photographs"] else ""


def _furthest(training):
    """How far from theory each training of the painted world ended, as a sentence; "" for photographs."""
    unit = {"regression": " ab units"}
    known = [
        f"{name} {found['largest_error']:.3g}{unit.get(name, '')} ({found['worst_thing']})"
        for name, found in training.items()
        if "worst_thing" in found
    ]
    return f" The thing furthest from theory (mean colour, or a colour's share): {', '.join(known)}." if known else ""

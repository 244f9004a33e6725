"""Recorded runs, and README's quotes of them."""

import json

import pytest

from repro import paths
from repro.colorizer import Colorizer
from repro.colorizer.weights import MODELS
from repro.pages import records


@pytest.mark.parametrize("document", records.DOCUMENTS, ids=lambda path: path.stem)
def test_documents_quote_what_results_hold(document):
    text = document.read_text()
    assert "<!-- results/" in text
    assert records.quote_results(text) == text, "records.quote_everywhere() after changing results/"


def test_figures_that_documents_quote_are_of_the_models_that_come_along():
    """Weights that are trained anew leave figures behind; each record names what it measured."""
    records_of = {
        file: json.loads((paths.ROOT / f"results/{file}.json").read_text())["models"]
        for file in ("shipped", "choices", "temperature", "probes")
    }
    hinted = json.loads((paths.ROOT / "results/hints.json").read_text())["model"]
    records_of["hints"] = {hinted.pop("name"): hinted}
    assert set(MODELS) <= set(records_of["shipped"])
    for file, measured in records_of.items():
        for model in measured.keys() & set(MODELS):
            card = json.loads(json.dumps(Colorizer.load(model).card()))
            assert card.items() <= measured[model].items(), (
                f"results/{file}.json is of another {model}: measure it anew"
            )


def test_the_intervals_that_are_used_cover_what_they_promise():
    """As simulated: .95 less three standard errors of 300 trials; the bootstrap over few people does not."""
    simulated = json.loads((paths.ROOT / "results/coverage.json").read_text())["coverage"]
    used = [
        values["covers"]
        for kinds in simulated.values()
        for kind, values in kinds.items()
        if kind != "percentile bootstrap" and not kind.endswith(("weights held fixed", ", bootstrap"))
    ]
    assert len(used) == 16 and min(used) > 0.95 - 3 * (0.05 * 0.95 / 300) ** 0.5
    assert simulated["3 raters"]["percentile bootstrap"]["covers"] < 0.85
    header, _, first, *_ = records.quote_results("<!-- results/coverage.json -->\n<!-- end -->").splitlines()[1:]
    assert header.count("|") == first.count("|") == 8


def test_the_table_of_held_out_photographs(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    interval = {"mean": 0.876, "error": 0.01, "low": 0.86, "high": 0.90}
    one = {"auc": interval, "auc_rebalanced": interval, "colorfulness": {"mean": 30, "low": 28, "high": 31}}
    truth = {"auc": interval, "top1 of 10 hub:/some/where/mobile": interval, "top1 hub:/some/where/mobile": interval}
    run = {"date": "2020-01-01", "hardware": "abacus", "seed": 0, "python": "3.11", "torch": "2"}
    record = {"run": run, "held_out": {"cats": {"truth": truth, "gray": one}}}
    (tmp_path / "tiny.json").write_text(json.dumps(record))
    lines = records.quote_results("<!-- results/tiny.json -->\n<!-- end -->").splitlines()
    assert lines[1].endswith("| colourfulness | top-1 of 10 mobile |")
    assert lines[3] == "| cats | truth | 87.6 ± 2.0 |  |  |  | 87.6 ± 2.0 |"
    assert lines[4] == "| cats | gray | 87.6 ± 2.0 | 87.6 ± 2.0 |  | 30.0 ± 1.5 |  |"
    assert "abacus" in lines[-2] and "2020-01-01" in lines[-2]
    record |= {
        "photographs": {"cats": 1200},
        "differences": {"cats": {"gray - truth": {"auc": interval | {"mean": -0.02}}}},
    }
    (tmp_path / "tiny.json").write_text(json.dumps(record))
    lines = records.quote_results("<!-- results/tiny.json -->\n<!-- end -->").splitlines()
    assert lines[4].startswith("| cats (1,200) | gray | 87.6 ± 2.0 |")
    assert lines[6].startswith("| photographs | difference, same photographs | AuC |")
    assert lines[8] == "| cats (1,200) | gray - truth | -2.0 [+86.0, +90.0] |  |  |  |  |"


@pytest.mark.parametrize(
    "path",
    sorted(
        path
        for path in paths.RESULTS.glob("*.json")
        if path.stem not in ("published", "benchmarks", "gpu", "ablations", "claims")
    ),
    ids=lambda path: path.stem,
)
def test_a_record_says_when_on_what_and_from_which_seed(path):
    run = json.loads(path.read_text())["run"]
    assert {"date", "hardware", "seed", "python", "torch"} <= set(run)


def test_a_changed_number_changes_readme(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    row = {"key": "gray", "name": "gray", "auc": "89.1", "auc_rebalanced": "58.0", "vgg_top1": "52.7"}
    (tmp_path / "published.json").write_text(json.dumps({"table_1": [row]}))
    record = {
        "run": {"date": "2020-01-01", "hardware": "abacus", "seed": 3, "python": "3.11", "torch": "2"},
        "training": {"rebalanced": {"seconds": 90, "samples": 1234}},
        "raw_accuracy": {
            "gray": {"auc": 0.8766, "auc_rebalanced": 0.5},
            "source": "world",
            "photographs": 7,
            "pixels": 64,
        },
        "semantic": {"photographs": 7, "some-classifier": {"gray": {"mean": 0.613}}},
        "page_minutes": {"00": 1.2, "01": 2.4},
    }
    (tmp_path / "tiny.json").write_text(json.dumps(record))
    text = records.quote_results("a\n<!-- results/tiny.json -->\nold\n<!-- end -->\nb")
    assert "| gray | 89.1 | 87.7 | 58.0 | 50.0 | 52.7 | 61.3 |" in text and "4 minutes" in text
    assert "abacus" in text and "old" not in text
    assert text.startswith("a\n") and text.endswith("\nb")


def test_metrics_round_trip_and_say_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "SCRATCH", tmp_path / "scratch")
    monkeypatch.setattr(paths, "OUTPUTS", tmp_path / "outputs")
    records.write_metrics("page", {"x": 1.5})
    assert records.read_metrics("page") == {"x": 1.5}
    with pytest.raises(FileNotFoundError, match="page 99.*make repro"):
        records.read_metrics("other", made_by="page 99")
    with pytest.raises(FileNotFoundError):
        records.read_metrics("page", pipeline=True)


def test_keeping_a_run_adds_how_long_each_page_took(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "OUTPUTS", tmp_path)
    (tmp_path / "pages").mkdir()
    page = {"metadata": {"papermill": {"duration": 90.0}}}
    (tmp_path / "pages/01_x.ipynb").write_text(json.dumps(page))
    (tmp_path / "pages/02_not_run.ipynb").write_text(json.dumps({"metadata": {}}))
    assert records.page_minutes() == {"01_x": 1.5}

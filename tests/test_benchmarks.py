"""The benchmarks run, at their smallest size.

What they measure is never asserted: that is for `make bench`, on an idle machine.
"""

import json
import sys

import numpy as np
import pytest
import yaml

from benchmarks import coverage, known_answers, server
from benchmarks.__main__ import THEMES, main, table
from benchmarks.fuzz import Outcome, checked_again, damaged, fuzz, try_files, whole_files
from benchmarks.measure import Figure, best_seconds, peak_growth
from repro import paths
from repro.evaluation import known_world


@pytest.mark.slow
@pytest.mark.parametrize("theme", THEMES)
def test_each_theme_runs_and_is_recorded(theme, tmp_path, capsys):
    file = tmp_path / "figures.json"
    main([theme, "--small", "--json", str(file)])
    record = json.loads(file.read_text())
    assert record["small"] and record["hardware"] and record["threads"] >= 1
    assert list(record["figures"]) == [theme]
    assert all(figure["ours"] > 0 and figure["peer"] > 0 and figure["says"] for figure in record["figures"][theme])
    shown = capsys.readouterr().out
    assert all(figure["name"] in shown for figure in record["figures"][theme])


def test_an_unknown_name_says_which_there_are(capsys):
    with pytest.raises(SystemExit):
        main(["colour"])
    assert "encoding" in capsys.readouterr().err


def test_what_a_server_needs_is_measured_in_a_kernel(tmp_path, monkeypatch, capsys):
    """On a page of one line that holds 300 MB for a moment."""
    code = "import numpy as np, os\nnp.ones(300_000_000, np.uint8).sum()\nassert os.environ['REPRO_SCRATCH']"
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None, "source": code}
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    page = {"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "00_page.ipynb").write_text(json.dumps(page))
    monkeypatch.setattr(server.paths, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(server.sys, "prefix", str(tmp_path))
    server.main(["00", "--json", str(tmp_path / "figures.json")])
    record = json.loads((tmp_path / "figures.json").read_text())
    assert 300 < record["peak_MB"]["00_page"] < 700 and record["run"]["hardware"]
    assert "00_page: " in capsys.readouterr().out
    (tmp_path / "large").write_bytes(bytes(8_000_000))
    (tmp_path / "again").hardlink_to(tmp_path / "large")
    assert 8e6 <= server.size_on_disk(tmp_path) < 9e6, "two names, one file"


def test_rounds_are_interleaved_after_one_untimed_call():
    calls = []
    seconds = best_seconds({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=2)
    assert calls == ["a", "b", "a", "b", "a", "b"]
    assert set(seconds) == {"a", "b"}


def test_ratios_say_which_way_they_go():
    assert Figure("x", "peer", 1, 5).ratio() == "5.0 x faster"
    assert Figure("x", "peer", 1.1, 1, reading="overhead").ratio() == "+10 %"
    assert Figure("x", "peer", 1, 20, "bytes", "smaller").ratio() == "20.0 x smaller"
    assert table([Figure("x", "peer", 1, 5, notes={"error": 0.5})]).endswith("x: error 0.5")


def sixteen_mebibytes():
    return lambda: bytearray(b"x") * (1 << 24)


@pytest.mark.slow
def test_memory_is_measured_in_a_process_of_its_own():
    grown = peak_growth("tests.test_benchmarks:sixteen_mebibytes")
    assert 0.9 * (1 << 24) < grown < 3 * (1 << 24)


@pytest.mark.slow
def test_a_failure_in_that_process_is_shown():
    with pytest.raises(RuntimeError, match="no_such_function"):
        peak_growth("benchmarks.memory:no_such_function")


def test_coverage_is_a_share_of_trials(tmp_path, capsys):
    file = tmp_path / "coverage.json"
    coverage.main(["--small", "--json", str(file)])
    found = json.loads(file.read_text())["coverage"]
    assert all(0 <= values["covers"] <= 1 for intervals in found.values() for values in intervals.values())
    assert "paired lead in rebalanced AuC covers" in capsys.readouterr().out


# ---- damaged files ----


@pytest.mark.slow
def test_damaged_files_are_coloured_or_named():
    """A small run of what `python -m benchmarks fuzz` does with 10,000 files."""
    outcome = fuzz(120, seed=1, formats=["JPEG", "PNG", "TIFF", "GIF", "WEBP", "BMP"])
    assert not outcome.faults and outcome.count.total() == 120
    assert min(outcome.count["coloured"], outcome.count["skipped"]) > 10


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory as Linux has them")
@pytest.mark.parametrize("program, fault", [
    ("print('[1/2] out/000001-a.png', flush=True); time.sleep(60)", "nothing for 10 seconds"),
    ("raise IndexError('odd')", "IndexError: odd"),
    ("os.kill(os.getpid(), 11)", "ended with -11"),
    ("print('skipped 000001-a.png: cannot be coloured (KeyError: 1)','skipped 000002-a.png: b',sep='\\n')", "KeyError"),
    ("x = bytearray(2**33)", "MemoryError"),
    ("print('skipped x/000001-a.png: broken')", "1 unnamed"),
])  # fmt: skip
def test_what_goes_wrong_with_damaged_files_is_noticed(program, fault):
    outcome = Outcome()
    command = [sys.executable, "-c", f"import os, time; {program}"]
    try_files(command, ["000001-a.png", "000002-a.png"], outcome, seconds=10, mib=512)
    assert len(outcome.faults) == 1 and fault in outcome.faults[0][1]


def test_damage_is_the_same_for_a_seed_and_goes_behind_checksums():
    files = dict(whole_files())
    assert {name.split("-")[0] for name in files} > {
        "JPEG",
        "PNG",
        "TIFF",
        "WEBP",
        "AVIF",
        "JPEG2000",
        "GIF",
        "BMP",
        "PPM",
    }
    data = files["PNG-RGB.png"]
    assert checked_again(data) == data and checked_again(data[:40]) == data[:40]
    spoiled = data[:20] + bytes([data[20] ^ 1]) + data[21:]
    assert checked_again(spoiled)[:29] == spoiled[:29] and checked_again(spoiled) != spoiled
    injuries = [damaged(data, data, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert injuries[0] == injuries[1] != injuries[2]


# ---- the painted world's goals over several trainings ----


@pytest.mark.slow
def test_known_answers_of_several_trainings(tmp_path, monkeypatch, capsys):
    """Each objective and precision once; what is there is not trained again; other settings are refused."""
    params = yaml.safe_load((paths.ROOT / "params.yaml").read_text())
    params["data"] |= {"size": 32, "train": 32, "val": 8, "test": 8}
    params["train"] |= {"width": 0.03, "steps": 2, "batch": 4, "crop": 32, "validate_every": 2}
    params["evaluate"] |= {"photographs": 8, "scenes": 100}
    file, out = tmp_path / "params.yaml", tmp_path / "found.json"
    file.write_text(yaml.safe_dump(params))

    def run():
        arguments = ["--params", str(file), "--seeds", "1", "--jobs", "1", "--out", str(out)]
        monkeypatch.setattr(sys, "argv", ["known_answers", *arguments])
        known_answers.main()
        return capsys.readouterr().out.count("\n"), json.loads(out.read_text())

    printed, found = run()
    assert printed == 6 and len({(row["objective"], row["precision"]) for row in found["runs"]}) == 6
    for row in found["runs"]:
        assert row["largest_error"] > 0 and 0 < row["auc_rebalanced"] < row["auc"] < 1 and row["seconds"] > 0
    out.write_text(json.dumps(found | {"runs": found["runs"][1:]}))
    assert run()[0] == 1
    file.write_text(yaml.safe_dump(params | {"train": params["train"] | {"steps": 3}}))
    with pytest.raises(SystemExit):
        run()
    assert "is of other settings" in capsys.readouterr().err


def test_a_table_of_trainings_by_hand():
    errors = {"regression": (7.9, 8.1, 3.0), "rebalanced": (0.1, 0.05)}
    runs = [{"objective": o, "precision": "32-true", "largest_error": e} for o, found in errors.items() for e in found]
    assert known_world.runs_within_goals(runs) == [
        ["regression", "32-true", 3, 2, 7.9, 8.1],
        ["rebalanced", "32-true", 2, 2, pytest.approx(0.075), 0.1],
    ]

"""make repro's own words: how long it takes, what is left, and whether it reproduced the recorded run."""

import copy
import json
import subprocess
import sys

import pytest

from repro import paths
from repro.__main__ import main
from repro.commands import run as command
from repro.pages import forecast, reproduced
from repro.pages.forecast import Forecast, in_words

# ---- how long ----


def test_what_is_left_follows_this_runs_own_pace():
    """Expected 40, 40 and 20 s; the first took 80: the pace is 2, so (40 + 20) x 2 = 120 s are left."""
    found = Forecast({"a": 40.0, "b": 40.0, "c": 20.0})
    assert found.left == 100 and found.start("a", 0.0) is None
    assert found.start("b", 80.0) == ("a", 80.0) and found.left == 120
    assert found.skip("c", 90.0) == ("b", 10.0)
    assert found.left == 0 and found.took == {"a": 80.0, "b": 10.0} and found.end(99.0) is None


def test_a_stage_nobody_expected_changes_no_pace():
    found = Forecast({"b": 100.0}, {"new"})
    assert found.left == 102
    found.start("new", 0)
    found.end(50)
    assert found.left == 100


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "10 seconds"), (38, "40 seconds"), (100, "2 minutes"), (2310, "38 minutes"), (6000, "1 h 40 min")],
)
def test_times_in_words(seconds, words):
    assert in_words(seconds) == words


@pytest.mark.slow
def test_every_stage_has_a_time_and_every_page_its_own():
    record = json.loads((paths.RESULTS / "classroom.json").read_text())
    names = forecast.stage_names()
    assert names["train@rebalanced"] == "04_training_rebalanced" and names["results"] == "12_results"
    assert {"data", "clean@00_start_here"} <= {name for name, page in names.items() if page is None}
    assert set(record["page_minutes"]) == {page for page in names.values() if page}
    found = forecast.recorded_seconds(record | {"stage_seconds": {"data": 77.0, "gone": 5.0}})
    assert set(found) == {name for name, page in names.items() if page} | {"data"} and found["data"] == 77
    listed = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list", "--name-only"], cwd=paths.ROOT, capture_output=True, text=True
    )
    assert set(listed.stdout.split()) == set(names), listed.stderr


def test_this_machines_rate_is_that_of_the_training_loop():
    assert 1 < forecast.training_rate(seconds=0.2) < 1e6


# ---- the command, with a stand-in for DVC ----


@pytest.fixture
def dvc(tmp_path, monkeypatch):
    """A dvc of three lines, and a machine half as fast as the record's."""

    def install(script, code=0):
        file = tmp_path / "bin/dvc"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n{script}\nexit {code}\n')
        file.chmod(0o755)
        return tmp_path

    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    record = json.loads((paths.RESULTS / "classroom.json").read_text())
    monkeypatch.setattr(forecast, "training_rate", lambda: forecast.recorded_rate(record) / 2)
    monkeypatch.setattr(paths, "OUTPUTS", tmp_path / "outputs")
    monkeypatch.setattr(command, "STAGES", tmp_path / "outputs/stage_seconds.json")
    (tmp_path / "outputs").mkdir()
    return install


STAGES = """case "$*" in *--dry*) echo "ERROR: a file is missing" >&2; exit 1;; esac
echo "Running stage 'data':"; echo "> python -m repro data"
echo "Stage 'train@regression' didn't change, skipping"
echo "Running stage 'results':\""""


def test_a_fresh_clone_is_told_how_long_it_will_take_and_what_is_left(dvc, capfd):
    place = dvc(STAGES + """; printf '\\tgit add dvc.lock\\n'""")
    (place / "outputs/metrics").mkdir()
    record = (paths.RESULTS / "classroom.json").read_text()
    (place / "outputs/metrics/12_results.json").write_text(record)
    assert main(["run"]) == 0
    first, *lines = capfd.readouterr().out.splitlines()
    record = json.loads((paths.RESULTS / "classroom.json").read_text())
    timed = forecast.recorded_seconds(record)
    expected = 2 * sum(timed.values()) + forecast.UNTIMED * (len(forecast.stage_names()) - len(timed))
    assert f"will take about {in_words(expected)}." in first and "photographs a second" in first
    assert lines[:2] == ["Running stage 'data':", "> python -m repro data"], "at once, as DVC says it"
    assert lines[2].startswith("-- data: 0 s. About ") and lines[2].endswith(" left.")
    assert set(json.loads((place / "outputs/stage_seconds.json").read_text())) == {"data", "results"}
    assert (place / "calls").read_text() == "repro --dry\nrepro\n"
    assert "\tgit add dvc.lock" in lines, "as DVC wrote it"
    assert [line for line in lines if line.startswith("AuC of gray (%) ")]
    assert [line for line in lines if line.startswith("Did it reproduce? ")], "a line for each figure, then the answer"


def test_options_go_to_dvc_and_a_failing_stage_fails(dvc, capfd):
    place = dvc("echo \"Stage 'data' didn't change, skipping\"", code=3)
    assert main(["run", "--", "--force", "results"]) == 3
    assert (place / "calls").read_text().splitlines()[-1] == "repro --force results"
    assert "reproduce?" not in capfd.readouterr().out


def test_where_nothing_is_to_be_done_no_time_is_told(dvc, capfd):
    dvc("echo \"Running stage 'photographs':\"; echo \"Stage 'data' didn't change, skipping\"")
    assert main(["run"]) == 0
    assert "will take" not in capfd.readouterr().out


# ---- did it reproduce? ----


def recorded():
    return {
        "raw_accuracy": {
            "source": "world", "photographs": 500, "pixels": 64,
            "rebalanced": {"auc": 0.86, "auc_rebalanced": 0.818},
            "intervals": {"rebalanced": {"auc": {"low": 0.85, "high": 0.87}}},
        },
        "training": {"rebalanced": {"samples": 100, "largest_error": 0.035}},
        "semantic": {
            "photographs": 400, "trained": {"gray": {"mean": 0.7, "low": 0.65, "high": 0.75}}, "differences": {},
        },
        "probes": {"09_x": {"draw": 16, "random": {"best": 0.7, "low": 0.6, "high": 0.8}}},
    }  # fmt: skip


def test_the_same_figures_are_inside_and_one_that_moved_is_named():
    here = copy.deepcopy(recorded())
    found = reproduced.compare(recorded(), here)
    assert len(found) == 5
    assert "Yes: 4 of 4 figures lie inside their range; 1 more have no" in reproduced.answer(found, recorded(), here)
    here["raw_accuracy"]["rebalanced"]["auc"] = 0.88
    here["training"]["rebalanced"]["largest_error"] = 0.12
    text = reproduced.answer(reproduced.compare(recorded(), here), recorded(), here)
    assert "Not in full: 2 of 4" in text
    assert (
        "outside: AuC of rebalanced (%) 88.0, recorded 86.0, "
        "the recorded run's 95 % interval over photographs 85.0 to 87.0" in text
    )
    assert "furthest from theory, rebalanced (share) 0.120, recorded 0.035, page 04's goal 0.000 to 0.100" in text


def test_recorded_runs_go_before_every_other_range(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    assert reproduced.spread_over_runs() == {}
    runs = [{"objective": "rebalanced", "auc": 0.863 + step, "auc_rebalanced": 0.8, "largest_error": 0.05 + step}
            for step in (-0.001, 0, 0.001)]  # fmt: skip
    (tmp_path / "known_answers.json").write_text(json.dumps({"runs": runs}))
    spread = reproduced.spread_over_runs()
    # mean .863, deviation .001, t with two degrees of freedom 4.303: 4.303 * .001 * sqrt(4 / 3) = .00497
    ends = spread["AuC of rebalanced (%)"]
    assert (ends["low"], ends["high"]) == (pytest.approx(0.85803, abs=1e-5), pytest.approx(0.86797, abs=1e-5))
    assert spread["furthest from theory, rebalanced (share)"]["high"] == pytest.approx(0.051)
    found = reproduced.compare(recorded(), recorded(), spread)
    assert found[0].inside and found[0].of == "95 % of runs like 3 recorded trainings"
    assert "3 recorded trainings" in reproduced.in_text(found)


def test_another_size_is_not_compared():
    here = copy.deepcopy(recorded())
    here["training"]["rebalanced"]["samples"] = 32
    found = reproduced.compare(recorded(), here)
    text = reproduced.answer(found, recorded(), here)
    assert not found and "Not asked" in text and "after 32 training samples" in text and "after 100" in text
    assert "no recorded run" in reproduced.answer([], {}, here)


def test_the_record_reproduces_itself():
    record = json.loads((paths.RESULTS / "classroom.json").read_text())
    found = reproduced.compare(record, record, reproduced.spread_over_runs())
    assert len(found) > 20
    assert not [one for one in found if one.inside is False and "goal" not in one.of], (
        "a goal may be missed, and then is"
    )

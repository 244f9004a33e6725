"""The benchmarks run, at their smallest size.

What they measure is never asserted: that is for `make bench`, on an idle machine.
"""

import json

import pytest

from benchmarks.__main__ import THEMES, main, table
from benchmarks.measure import Figure, best_seconds, peak_growth


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


def test_memory_is_measured_in_a_process_of_its_own():
    grown = peak_growth("tests.test_benchmarks:sixteen_mebibytes")
    assert 0.9 * (1 << 24) < grown < 3 * (1 << 24)


def test_a_failure_in_that_process_is_shown():
    with pytest.raises(RuntimeError, match="no_such_function"):
        peak_growth("benchmarks.memory:no_such_function")

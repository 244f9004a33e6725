"""The table of claims: evidence from every file, verdicts, and what README says of them."""

import gzip
import json

import numpy as np
import pytest

from repro import paths
from repro.commands.measure import as_csv
from repro.evaluation.held_out import BY_COLOUR, RECORDED_AS, differences
from repro.evaluation.paired import FAILS, HOLDS, OPEN, UNTESTED
from repro.pages import claims, evidence, records
from repro.pages.claims import Claim
from repro.pages.evidence import Evidence


def interval(low, high):
    return {"mean": (low + high) / 2, "error": 0.01, "low": low, "high": high}


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder of results with nothing but the paper's figures."""
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    (tmp_path / "published.json").write_bytes((paths.ROOT / "results/published.json").read_bytes())
    return tmp_path


def of(found, text):
    (row,) = [row for row in found["claims"] if row["claim"] == text]
    return row


BEST = "Rebalanced is ahead of gray in rebalanced AuC"
LEVEL = "Rebalanced is level with gray in AuC"


def run(**differences):
    return {
        "raw_accuracy": {
            "source": "world",
            "gray": {"auc": 0.85, "auc_rebalanced": 0.72},
            "ideal": {"rebalanced": {"auc": 0.92, "auc_rebalanced": 0.86}},
            "differences": {"rebalanced - gray": differences},
        }
    }


def test_nothing_measured_is_not_tested(results):
    found = claims.table()
    assert {row["verdict"] for row in found["claims"]} == {UNTESTED} and len(found["claims"]) > 25
    assert of(found, BEST)["paper"] == "67.3 against 58.0", "as published"


def test_a_run_of_the_painted_world_stands_beside_theory(results):
    measured = run(auc_rebalanced=interval(0.08, 0.10), auc=interval(-0.03, -0.02))
    (results / "classroom.json").write_text(json.dumps(measured))
    row = of(claims.table(), BEST)
    assert row["world"]["verdict"] == row["verdict"] == HOLDS and row["of"] == "world"
    assert row["world"]["text"] == "+9.0 [+8.0, +10.0], theory +14.0"
    assert of(claims.table(), LEVEL)["verdict"] == FAILS
    other = run(auc_rebalanced=interval(-0.02, 0.10))
    assert of(claims.table(other), BEST)["verdict"] == OPEN, "a page shows its own run"
    short = records.claims_in_short(claims.table())
    first, refuted, *others = short.splitlines()
    assert first == "- **Does not hold** (1):" and refuted.startswith(f"  - {LEVEL} (painted world). The paper: 89.5")
    assert f"{BEST} (painted world)" in others[0]


def test_photographs_decide_where_they_were_measured(results):
    (results / "classroom.json").write_text(json.dumps(run(auc_rebalanced=interval(0.08, 0.10))))
    pairs = {"rebalanced - gray": {"auc_rebalanced": interval(-0.05, -0.02)}}
    (results / "shipped.json").write_text(json.dumps({"differences": {"cats": pairs}}))
    assert of(claims.table(), BEST)["of"] == "world", "intervals of the earlier kind are not taken"
    (results / "shipped.json").write_text(json.dumps({"intervals": RECORDED_AS, "differences": {"cats": pairs}}))
    row = of(claims.table(), BEST)
    assert (row["world"]["verdict"], row["verdict"], row["of"]) == (HOLDS, FAILS, "photographs")
    assert row["photographs"]["text"] == "cats -3.5 [-5.0, -2.0]"


def test_frozen_layers_of_photographs_speak_of_their_claims(results):
    layers = {f"conv{number}": interval(-0.02 if number == 1 else 0.05, 0.08) for number in range(1, 9)}
    probed = {"layers": {"cats": {"differences": {"rebalanced - k-means": layers, "rebalanced - random": layers}}}}
    (results / "probes.json").write_text(json.dumps(probed))
    found = claims.table()
    later = of(found, "Frozen features of colouring are ahead of a k-means start's, from conv2 on")
    assert later["verdict"] == HOLDS and len(later["photographs"]["evidence"]) == 7, "conv1 is not asked"
    every = of(found, "Frozen features of colouring are ahead of a random start's, layer by layer")
    assert every["verdict"] == OPEN and every["photographs"]["evidence"][0]["where"] == "cats, conv1"
    assert every["photographs"]["text"].startswith("7 of 8 hold, 0 do not; from cats, conv1 +3.0 [-2.0, +8.0]")


def test_evidence_is_turned_over_where_the_claim_is():
    seen = Evidence("auc", ("a", "b"), "", 0.02, 0.01, 0.05, "x.json", theory=0.03).of(("b", "a"))
    assert (seen.mean, seen.low, seen.high, seen.theory) == (-0.02, -0.05, -0.01, -0.03)
    assert seen.of(("b", "c")) is None
    claim = Claim("b over a", "", "auc", (("b", "a"),))
    assert claim.judged([Evidence("auc", ("a", "b"), "", 0.02, 0.01, 0.05, "x")])["verdict"] == FAILS


def test_one_of_several_refutes_only_beyond_chance():
    """Bonferroni over two: 2.241 / 1.960 = 1.1436 times as wide; -.02 [-.04, -.001] then reaches to .0017."""
    near = Evidence("auc", ("a", "b"), "cats", -0.02, -0.04, -0.001, "x", number=1500)
    far = Evidence("auc", ("a", "b"), "dogs", -0.02, -0.04, -0.004, "x", number=7)
    well = Evidence("auc", ("a", "b"), "birds", 0.02, 0.01, 0.03, "x")
    assert near.widened(2) == pytest.approx((-0.02 - 1.1436 * 0.02, -0.02 + 1.1436 * 0.019), abs=1e-5)
    assert near.widened(1) == pytest.approx((near.low, near.high))
    judged = lambda *found: Claim("", "", "auc", (("a", "b"),)).judged(list(found))
    assert judged(near)["verdict"] == FAILS, "alone"
    assert judged(near, well)["verdict"] == OPEN and judged(near, well)["evidence"][0]["verdict"] == OPEN
    assert judged(far, well)["verdict"] == FAILS
    assert judged(near, far)["text"] == "cats (1,500) -2.0 [-4.0, -0.1]; dogs (7) -2.0 [-4.0, -0.4]"


def test_an_end_that_rounds_to_nought_keeps_its_side():
    found = Evidence("auc", ("a", "b"), "", -0.0053, -0.0106, -0.0001, "x", number=200)
    assert Claim("", "", "auc", (("a", "b"),)).judged([found])["text"] == "of 200 -0.53 [-1.06, -0.01]"


def test_many_intervals_are_summed_up():
    found = [
        Evidence("seen", ("x", "random"), f"conv{n}", n / 100, n / 100 - 0.015, n / 100 + 0.015, "") for n in range(8)
    ]
    claim = Claim("", "", "seen", (("x", "random"),))
    text = claim.judged(found)["text"]
    assert text == "6 of 8 hold, 0 do not; from conv0 +0.0 [-1.5, +1.5] to conv7 +7.0 [+5.5, +8.5]"
    assert Claim("", "", "seen", (("x", "random"),), places=("conv7",)).judged(found)["verdict"] == HOLDS


def test_ablations_are_compared_through_their_common_reference(results):
    """a is 1 [.7, 1.3] ahead of the reference, b .2 [-.2, .6]: a - b = .8, half width sqrt(.3^2 + .4^2) = .5."""
    against = lambda mean, half: {"difference": mean, "low": mean - half, "high": mean + half}
    rows = [
        {
            "model": name,
            "seed": 0,
            "auc_against_classification": against(*lead),
            "auc_rebalanced_against_classification": against(*lead),
        }
        for name, lead in (("a", (1, 0.3)), ("b", (0.2, 0.4)))
    ]
    (results / "ablations.json").write_text(json.dumps({"models": rows}))
    found, rebalanced = evidence.of_ablations([("a", "b"), ("a", "c")])
    assert (found.mean, found.low, found.high) == pytest.approx((0.008, 0.003, 0.013))
    assert (rebalanced.low, rebalanced.high) == pytest.approx((-0.002, 0.018)), "by bootstrap, so twice as wide"


def test_the_authors_weights_have_their_own_column(results):
    rng = np.random.default_rng(0)
    rows = [
        {"set": "cats", "photograph": str(n), "method": method, "auc": auc + 0.01 * rng.random(), "pixels": 9,
         "auc_rebalanced": auc, "rarity": 1.0, "colorfulness": 30.0 + rng.random()}
        for method, auc in (("truth", 1), ("gray", 0.6), ("release", 0.7), ("encoder", 0.9))
        for n in range(20)
    ]  # fmt: skip
    (results / "theirs.csv.gz").write_bytes(as_csv(rows))
    row = of(claims.table(), BEST)
    assert row["authors"]["verdict"] == HOLDS and row["authors"]["evidence"][0]["source"].startswith("theirs.csv.gz")
    assert "weights held fixed" in row["authors"]["evidence"][0]["source"], "as its rows have no colours"
    assert row["verdict"] == UNTESTED, "the verdict is of what was trained here"


def test_rows_read_back_give_the_same_plain_figures(results):
    """Weighted by pixels, as with the colours of every photograph; the rebalanced interval is wider, never narrower."""
    rng = np.random.default_rng(1)
    rows = []
    for method in ("rebalanced", "gray"):
        for n in range(30):
            counts, errors = rng.integers(1, 9, 5).astype(float), rng.random(5)
            rows.append(
                {"set": "s", "photograph": str(n), "method": method, "auc": 1 - errors.sum() / counts.sum() / 150,
                 "pixels": counts.sum(), "auc_rebalanced": 0.5, "rarity": 1.0, BY_COLOUR: np.stack((counts, errors))}
            )  # fmt: skip
    for one, other in zip(rows[:30], rows[30:], strict=True):
        other[BY_COLOUR][0], other["pixels"] = one[BY_COLOUR][0], one["pixels"]
        other["auc"] = 1 - other[BY_COLOUR][1].sum() / other["pixels"] / 150
    (results / "s.csv.gz").write_bytes(as_csv(rows))
    read = evidence.read_rows(results / "s.csv.gz")
    pair = [("rebalanced", "gray")]
    whole, again = (differences(found, pair)["s"]["rebalanced - gray"]["auc"] for found in (rows, read))
    assert again["mean"] == pytest.approx(whole["mean"], abs=1e-5)
    assert again["high"] - again["low"] == pytest.approx(whole["high"] - whole["low"], rel=0.02)


def test_people_are_counted_when_there_are_some(results):
    people = {name: {"fooled": share, "error": 0.02, "raters": 12} for name, share in
              (("rebalanced", 0.4), ("classification", 0.3), ("regression", 0.2))}  # fmt: skip
    record = run() | {"realism": {"people": people, "simulated raters": people}}
    row = next(row for row in claims.table(record)["claims"] if row["claim"].startswith("People"))
    assert row["world"]["verdict"] == HOLDS and len(row["world"]["evidence"]) == 2


def near(one, other):
    """Equal, numbers up to the order in which a processor adds them up."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(near(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(near, one, other))
    return one == (pytest.approx(other, abs=1e-6) if isinstance(one, float) else other)


def test_the_table_in_git_is_what_the_results_give():
    kept = json.loads((paths.RESULTS / "claims.json").read_text())
    found = json.loads(records.as_json(claims.table()))
    for one, other in zip(kept["claims"], found["claims"], strict=True):
        assert near(one, other), f"{one['claim']}: claims.update() writes the table anew"
    assert near(kept, found)


def test_readme_says_first_what_holds_and_what_does_not():
    text = (paths.ROOT / "README.md").read_text()
    kept = json.loads((paths.RESULTS / "claims.json").read_text())
    short = records.claims_in_short(kept)
    assert short in "\n".join(text.splitlines()[:30]), "in the first screenful"
    first = next(line for line in text.splitlines() if line.startswith("|"))
    assert "the paper's claim" in first, "README's first table"
    for row in kept["claims"]:
        assert row["claim"] in text and row["paper"] in text


def test_updating_writes_the_file_and_quotes_it(results, tmp_path, monkeypatch):
    document = tmp_path / "README.md"
    document.write_text(
        "a\n<!-- results/claims.json, in short -->\n<!-- end -->\n<!-- results/claims.json -->\n<!-- end -->\n"
    )
    monkeypatch.setattr(records, "DOCUMENTS", (document,))
    claims.update()
    assert json.loads((results / "claims.json").read_text())["rule"] == claims.RULE
    text = document.read_text()
    assert text.count(BEST) == 2 and f"**{UNTESTED.capitalize()}**" in text and claims.RULE in text


def test_a_broken_row_file_is_not_taken_for_an_empty_one(results):
    (results / "shipped.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(gzip.BadGzipFile):
        claims.table()

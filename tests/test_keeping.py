"""What is somebody else's stays as it is, and what was measured is kept: every command that writes, told a wrong place.

Photographs are small and painted; the faults are real: files in the way, interrupts, folders that take no file.
"""

import json
import os
import subprocess
import sys
import time
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image

from repro import paths
from repro.__main__ import main
from repro.bins import ab_bins
from repro.colorizer import weights as weights_module
from repro.colorizer.weights import save_weights
from repro.datasets.packs import pack
from repro.datasets.sources import SourceError
from repro.datasets.world import WorldSource
from repro.network import ColorizationNet
from repro.objectives import Objective
from repro.pages import ready, records


@pytest.fixture(scope="module")
def scenes():
    return WorldSource().bulk("test", size=32, limit=6)[0]


@pytest.fixture
def photographs(tmp_path, scenes):
    for index, scene in enumerate(scenes):
        folder = tmp_path / "photographs" / ("a" if index % 2 else "b")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene).save(folder / f"{index}.png")
    return tmp_path / "photographs"


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "models" / "small.safetensors"
    save_weights(path, ColorizationNet(0.0625), Objective("classification", ab_bins()), short_side=16)
    return path


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def one_line(capsys):
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("error: "), said
    return said


# ---- records ----


@pytest.mark.parametrize("command", ["measure", "hints", "probe"])
@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("photo.jpg", "must name a file that ends in .json"),
        ("mine.json", "mine.json is there already and is no such record"),
        ("other.json", "other.json is there already and is no such record"),
        ("part.json", "part.partial.json is there already and is no such record"),
        ("rows.json", "rows.csv.gz is there already"),
        ("folder.json", "folder.json is there already"),
        ("file/x.json", "cannot be written"),
    ],
)
def test_a_record_takes_no_place_of_anything_else(command, out, message, photographs, model, tmp_path, capsys):
    place = tmp_path / "place"
    (place / "folder.json").mkdir(parents=True)
    for name in ("photo.jpg", "mine.json", "rows.csv.gz", "file", "part.partial.json"):
        (place / name).write_text('{"precious": 1}')
    (place / "other.json").write_text('{"run": {}, "raw_accuracy": {}}')
    before = contents(place)
    given = ["--weights", str(model)] if command == "hints" else ["--models", str(model)]
    assert main([command, f"a={photographs}", *given, "--out", str(place / out)]) == 1
    assert message in one_line(capsys) and contents(place) == before


def test_a_collection_that_cannot_be_used_costs_no_other(photographs, model, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    sets = [f"none={tmp_path / 'empty'}", f"some={photographs}", f"nothing={tmp_path / 'empty'}"]
    assert main(["measure", *sets, "--models", str(model), "--out", str(tmp_path / "x.json")]) == 1
    printed = capsys.readouterr()
    assert printed.err.count("0 colour photographs") == 2 and "some: 6 photographs at 32 x 32 pixels" in printed.out
    record = json.loads((tmp_path / "x.json").read_text())
    assert list(record["held_out"]) == ["some"] and record["pixels"] == {"some": 32}
    again = ["measure", f"some={photographs}", "--models", str(model), "--out", str(tmp_path / "x.json")]
    assert main(again) == 0, "its own record is replaced"
    before = (tmp_path / "x.json").read_bytes(), (tmp_path / "x.csv.gz").read_bytes()
    assert main(["measure", *sets, "--models", str(model), "--out", str(tmp_path / "x.json")]) == 1
    assert before == ((tmp_path / "x.json").read_bytes(), (tmp_path / "x.csv.gz").read_bytes()), "but not by a part"
    assert json.loads((tmp_path / "x.partial.json").read_text())["photographs"] == {"some": 6}
    assert "written: " in capsys.readouterr().out


INTERRUPTED = """
import os, signal, sys, time
from repro.__main__ import main
from repro.evaluation import held_out
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell may have told to ignore it
measure = held_out.measure
def in_the_second(photographs, *given, **options):
    if photographs.name == "second":
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
    return measure(photographs, *given, **options)
held_out.measure = in_the_second
sys.exit(main(sys.argv[1:]))
"""


def test_an_interrupt_keeps_what_was_measured(photographs, model, tmp_path):
    """Stopped by ctrl-c in the second collection; the first is in the record."""
    command = ["measure", f"first={photographs}", f"second={photographs}", "--models", str(model)]
    command += ["--out", str(tmp_path / "x.json")]
    run = subprocess.run([sys.executable, "-c", INTERRUPTED, *command], capture_output=True, text=True, cwd=paths.ROOT)
    assert run.returncode == 130 and run.stderr == "stopped; what was finished is kept\n"
    assert list(json.loads((tmp_path / "x.json").read_text())["held_out"]) == ["first"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a=PHOTOGRAPHS", "a=PHOTOGRAPHS"], "two collections are called a"),
        (["=PHOTOGRAPHS"], "expected NAME=FOLDER"),
        (["a="], "expected NAME=FOLDER"),
        (["a/b=PHOTOGRAPHS"], "a collection's name is plain letters"),
        (["..=PHOTOGRAPHS"], "a collection's name is plain letters"),
        (["a=PHOTOGRAPHS", "--limit", "0"], "--limit must be at least 1, got 0"),
        (["a=PHOTOGRAPHS", "--size", "-4"], "--size must be at least 1, got -4"),
        (["a=PHOTOGRAPHS", "--size", "100000"], "give a smaller --size or --limit"),
        (["a=PHOTOGRAPHS", "--limit", "1"], "1 colour photograph in"),
        (["a=PHOTOGRAPHS", "--names", ""], "an empty names is given"),
        (["a=PHOTOGRAPHS", "--choices", "--classifier", "lite0"], "--classifier says how pictures are measured"),
        (["a=PHOTOGRAPHS", "--scan-temperature", "--models", "regression"], "none of these has a temperature"),
        (["a=PHOTOGRAPHS", "--models", "TAKEN"], "a model cannot be called truth, as another row is"),
        (["a=PHOTOGRAPHS", "--models", "Rebalanced"], "no weights, NAME.safetensors, in Rebalanced"),
    ],
)
def test_what_would_be_measured_wrongly_is_one_line(arguments, message, photographs, model, tmp_path, capsys):
    taken = tmp_path / "taken" / "truth.safetensors"
    taken.parent.mkdir()
    taken.write_bytes(model.read_bytes())
    places = {"PHOTOGRAPHS": str(photographs), "TAKEN": str(taken)}
    given = [places.get(one, one.replace("=PHOTOGRAPHS", f"={photographs}")) for one in arguments]
    known = [] if "--models" in given else ["--models", str(model)]
    assert main(["measure", *given, *known, "--out", str(tmp_path / "x.json")]) == 1
    assert message in one_line(capsys) and not (tmp_path / "x.json").exists()


def test_a_classifier_that_knows_none_of_the_classes_is_named(photographs, model, tmp_path, capsys, monkeypatch):
    from repro.evaluation import classifiers

    stranger = classifiers.Classifier("stranger", ("zebra",), lambda seen: None)
    monkeypatch.setattr(classifiers, "open_classifier", lambda name: stranger)
    command = ["measure", f"a={photographs}", "--models", str(model), "--classifier", "x"]
    assert main([*command, "--out", str(tmp_path / "x.json")]) == 0
    assert "warning: a: stranger does not know these classes" in capsys.readouterr().err


def test_hints_go_on_after_a_collection_whose_photographs_are_too_small(photographs, model, tmp_path, capsys):
    for folder, size in (("tiny", 8), ("large", 96)):
        (tmp_path / folder).mkdir()
        for path in photographs.rglob("*.png"):
            Image.open(path).resize((size, size)).save(tmp_path / folder / path.name)
    command = ["hints", f"tiny={tmp_path / 'tiny'}", f"some={tmp_path / 'large'}", "--limit", "2"]
    assert main([*command, "--weights", str(model), "--out", str(tmp_path / "x.json")]) == 1
    assert "tiny: 20 patches of 7 pixels find no room in a photograph of 8 x 8" in capsys.readouterr().err
    assert json.loads((tmp_path / "x.json").read_text())["photographs"] == {"some": 2}


# ---- packs ----


def test_packs_replace_packs_and_nothing_else(photographs, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("pack-holiday.zip", "pack-7.zip.bak", "holiday.zip"):
        (out / name).write_bytes(b"a person's")
    with ZipFile(out / "pack-7.zip", "w") as earlier:
        earlier.writestr("train/a/1.webp", b"")
    mine = contents(out)
    gray = tmp_path / "gray"
    gray.mkdir()
    Image.new("RGB", (20, 20), (90, 90, 90)).save(gray / "1.png")
    assert main(["pack", f"g={gray}", "--out", str(out)]) == 1
    assert "none of the photographs can be used: 1 gray" in one_line(capsys) and contents(out) == mine
    assert main(["pack", f"p={photographs}", "--out", str(out)]) == 0
    left = contents(out)
    assert {str(name) for name in left} == {"pack-holiday.zip", "pack-7.zip.bak", "holiday.zip", "pack-1.zip"}
    assert all(left[name] == mine[name] for name in left if name in mine)


@pytest.mark.parametrize("fault", ["no zip", "another zip", "folder"])
def test_a_file_that_is_only_called_a_pack_stays(fault, photographs, tmp_path, capsys):
    place = tmp_path / "out" / "pack-12.zip"
    place.parent.mkdir()
    if fault == "folder":
        place.mkdir()
    elif fault == "no zip":
        place.write_bytes(b"a person's")
    else:
        with ZipFile(place, "w") as mine:
            mine.writestr("letters/1.txt", b"dear")
    before = contents(tmp_path)
    assert main(["pack", f"p={photographs}", "--out", str(place.parent)]) == 1
    assert "pack-12.zip is there already and is no pack" in one_line(capsys) and contents(tmp_path) == before


def test_a_packing_that_breaks_off_leaves_the_earlier_packs(photographs, tmp_path, monkeypatch):
    out = tmp_path / "out"
    pack({"p": photographs}, out)
    before = contents(out)

    def full(self, *given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ZipFile, "writestr", full)
    with pytest.raises(OSError, match="No space left"):
        pack({"p": photographs}, out, size=16)
    assert contents(out) == before


def test_killed_while_packing_the_earlier_packs_are_whole(tmp_path, scenes):
    """kill -9 in the middle; the same command again."""
    folder, out = tmp_path / "many", tmp_path / "out"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(400):
        Image.fromarray(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)).save(folder / f"{index}.png")
    pack({"m": folder}, out, size=16)
    before = contents(out)
    command = [sys.executable, "-m", "repro", "pack", f"m={folder}", "--out", str(out), "--quality", "100"]
    run = subprocess.Popen(command, cwd=paths.ROOT, stdout=subprocess.DEVNULL)
    while run.poll() is None and not any(out.glob(".packing-*/pack-1.zip")):
        time.sleep(0.005)
    run.kill()
    run.wait()
    assert {name: data for name, data in contents(out).items() if ".packing" not in str(name)} == before
    for left in out.glob(".packing-*"):
        os.utime(left, (0, 0))  # long ago
    assert subprocess.run(command, cwd=paths.ROOT, stdout=subprocess.DEVNULL).returncode == 0
    with ZipFile(out / "pack-1.zip") as archive:
        assert archive.testzip() is None and len(archive.namelist()) == 400
    assert not list(out.glob(".packing-*"))


def test_no_two_members_have_one_name(tmp_path, scenes):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name, scene in zip(("x.png", "x.bmp", "x.tif"), scenes, strict=False):
        Image.fromarray(scene).save(folder / name)
    odd = os.fsencode(folder) + b"/h\xe4us.png"  # a name in another encoding
    with open(odd, "wb") as file:
        Image.fromarray(scenes[3]).save(file, "png")
    packs, _ = pack({"a": folder}, tmp_path / "out")
    names = ZipFile(packs[0]).namelist()
    assert len(names) == len(set(names)) == 4


# ---- what the other commands write ----


@pytest.mark.parametrize("name", ["train.json", "train.npy"])
def test_prepared_photographs_replace_prepared_photographs_alone(name, photographs, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text('{"annotations": []}')
    command = ["data", "--params", str(paths.ROOT / "params.yaml"), "--source", "folder", "--folder", str(photographs)]
    command += ["--size", "32", "--train", "0", "--val", "0", "--test", "0", "--out", str(out)]
    before = contents(out)
    assert main(command) == 1
    assert f"{name} is there already" in one_line(capsys) and contents(out) == before


def test_imported_weights_replace_nothing(tmp_path, capsys):
    (tmp_path / "mine.safetensors").write_text("precious")
    assert main(["import", str(tmp_path / "x.pth"), "--out", str(tmp_path / "mine.safetensors")]) == 1
    assert "is there already" in one_line(capsys) and (tmp_path / "mine.safetensors").read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no weights, NAME.safetensors, in"),
        (["small"], "no model that comes along is called small"),
        (["--short-side", "4", "rebalanced"], "short_side must be a whole number from 8 to 1024"),
        (["--temperature", "nan", "rebalanced"], "temperature must be"),
        (["regression"], "no such weights file"),
        (["rebalanced", "classification"], "classification.safetensors: not a weights file"),
        (["rebalanced", "encoder"], "does not fit half precision"),
    ],
)
def test_nothing_is_shipped_by_halves(arguments, message, model, tmp_path, monkeypatch, capsys):
    shipped = tmp_path / "pretrained"
    shipped.mkdir()
    (shipped / "rebalanced.safetensors").write_text("those of before")
    monkeypatch.setattr(weights_module, "PRETRAINED", shipped)
    folder = model.parent if arguments else tmp_path / "nowhere"
    model.rename(model.with_stem("rebalanced"))
    (model.parent / "classification.safetensors").write_text("broken")
    large = ColorizationNet(0.0625)
    large.layers["conv1_1"][0].weight.data[0] = 1e9
    save_weights(model.parent / "encoder.safetensors", large, Objective("classification", ab_bins()))
    before = contents(shipped)
    assert main(["ship", "--models", str(folder), *arguments]) == 1
    assert message in one_line(capsys) and contents(shipped) == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shipped", "shipped.json is there already and is no such record"),
        ("../evil", "a record's name is of a-z"),
        ("a b", "a record's name is of a-z"),
        ("UPPER", "a record's name is of a-z"),
    ],
)
def test_a_run_is_recorded_under_a_name_of_its_own(name, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(paths, "OUTPUTS", tmp_path / "outputs")
    for file in ("outputs/metrics/12_results.json", "outputs/figures/methods.png", "outputs/legacy/first.png"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("{}")  # a run that could be recorded
    (tmp_path / "results").mkdir()
    (tmp_path / "results/shipped.json").write_text('{"run": {}, "held_out": {}}')
    before = contents(tmp_path)
    assert main(["record", name]) == 1
    assert message in one_line(capsys) and contents(tmp_path) == before


def test_a_broken_record_of_a_run_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "OUTPUTS", tmp_path)
    for file in ("metrics/12_results.json", "figures/methods.png", "legacy/first.png"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("{")
    with pytest.raises(ValueError, match="12_results.json is broken"):
        records.keep("classroom")


@pytest.mark.parametrize("fault", ["no curve", "broken"])
def test_the_small_models_are_taken_over_whole_or_not_at_all(fault, model, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "READY", tmp_path / "ready")
    model.with_suffix(".csv").write_text("step\n1\n")
    (model.parent / "prior.npz").write_bytes(b"x")
    if fault == "broken":
        (model.parent / "zero.safetensors").write_bytes(b"")
        (model.parent / "zero.csv").write_text("step\n1\n")
    else:
        model.with_suffix(".csv").unlink()
    with pytest.raises((FileNotFoundError, weights_module.WeightsError)):
        ready.take_over(model.parent)
    assert not (tmp_path / "ready").exists()


@pytest.mark.parametrize("command", [["exercises", "--tally", ""], ["colorize", "x.jpg", "--out", ""], ["record", ""]])
def test_an_empty_argument_is_no_missing_one(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(command) == 1
    assert "an empty " in one_line(capsys) and not list(tmp_path.iterdir())


def test_a_pack_of_no_folder_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="is not a folder"):
        pack({"a": tmp_path / "nowhere"}, tmp_path / "out")


# ---- the study ----


class Server:
    """Serves nothing."""

    def run(self, sockets):
        sockets[0].close()


@pytest.fixture
def serve(tmp_path, photographs, monkeypatch):
    """Runs `study serve --photographs` on a folder of photographs, all answers below tmp_path."""
    from repro.study import serving

    monkeypatch.setattr(serving, "make_server", lambda *given: Server())
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    monkeypatch.setattr("repro.study.photographs.LEAST", 4)
    monkeypatch.setattr("repro.study.stimuli.LEAST", 4)

    def run(folder, images=photographs):
        command = ["study", "serve", "--photographs", str(images), "--models", "regression", "--port", "0"]
        return main([*command, "--folder", str(folder)])

    return run


@pytest.mark.parametrize("name", ["study.json", "pictures/holiday.jpg", "pictures/holidays/1.jpg"])
def test_a_study_takes_no_folder_of_anything_else(name, serve, tmp_path, capsys):
    place = tmp_path / "mine" / name
    place.parent.mkdir(parents=True)
    place.write_text('{"precious": 1}')
    before = contents(tmp_path / "mine")
    assert serve(tmp_path / "mine") == 1
    assert "name another --folder" in capsys.readouterr().err and contents(tmp_path / "mine") == before


def test_a_study_that_people_have_answered_is_not_replaced(serve, tmp_path, scenes, capsys):
    from repro.study.folder import load_study

    other = tmp_path / "others"
    other.mkdir()
    for index, scene in enumerate(scenes):
        Image.fromarray(scene[::-1].copy()).save(other / f"{index}.png")
    place = tmp_path / "study"
    assert serve(place) == 0 and load_study(place)
    answers = tmp_path / "data/study" / f"{load_study(place).fingerprint}.sqlite"
    assert answers.is_file()
    before = contents(place)
    assert serve(place, other) == 1
    assert "which people have answered" in capsys.readouterr().err and contents(place) == before
    answers.unlink()
    assert serve(place, other) == 0 and contents(place) != before


def test_answers_are_exported_over_an_earlier_export_alone(serve, tmp_path, capsys):
    from repro.study.database import read_rows
    from repro.study.folder import load_study

    assert serve(tmp_path / "study") == 0
    study = ["--folder", str(tmp_path / "study")]
    assert main(["study", "simulate", *study, "--raters", "2"]) == 0
    store, photo = tmp_path / "study/simulated.sqlite", tmp_path / "mine.jpg"
    photo.write_bytes(b"precious")
    answers = read_rows(store, load_study(tmp_path / "study"))
    for place in (store, photo):
        assert main(["study", "export", *study, "--simulated", "--out", str(place)]) == 1
        assert "is no such table" in capsys.readouterr().err
    for _ in range(2):
        assert main(["study", "export", *study, "--simulated", "--out", str(tmp_path / "answers.csv")]) == 0
    capsys.readouterr()
    for wrong in (["--seed", "-1"], ["--raters", "0"]):
        assert main(["study", "simulate", *study, *wrong]) == 1
        one_line(capsys)
    assert photo.read_bytes() == b"precious"
    assert answers and read_rows(store, load_study(tmp_path / "study")) == answers


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("practice", "x"), ("pairs", 500), ("photographs", []), ("methods", ["unknown"]), ("display_ms", "abc"),
        ("fingerprint", 5), ("size", None),
    ],
)  # fmt: skip
def test_a_broken_study_is_one_line(key, value, serve, tmp_path, capsys):
    assert serve(tmp_path / "study") == 0
    manifest = json.loads((tmp_path / "study/study.json").read_text()) | {key: value}
    (tmp_path / "study/study.json").write_text(json.dumps(manifest))
    for action in (["simulate", "--raters", "2"], ["results"], ["serve", "--port", "0"]):
        capsys.readouterr()
        assert main(["study", *action, "--folder", str(tmp_path / "study")]) == 1
        assert "not a study of this project, or broken" in one_line(capsys)


def test_another_programs_database_is_not_touched(tmp_path):
    import sqlite3

    from repro.study.database import StoreError, connect

    place = tmp_path / "app.sqlite"
    with sqlite3.connect(place) as db:
        db.execute("CREATE TABLE letters (text)")
    db.close()
    before = place.read_bytes()
    with pytest.raises(StoreError, match="of another program"):
        connect(place)
    assert place.read_bytes() == before


# ---- shards, trainings, the site, courses ----


@pytest.mark.parametrize("name", ["manifest.json", "train-000001.json", "train-000000.tar"])
def test_shards_replace_shards_alone(name, scenes, tmp_path, capsys):
    out, tree = tmp_path / "out", tmp_path / "tree"
    for index, scene in enumerate(scenes):
        folder = tree / ("train", "val", "test")[index % 3] / "a"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene).save(folder / f"{index}.png")
    out.mkdir()
    (out / name).write_text('{"name": "my web app"}')
    (out / ".download.part").write_text("half of a film")
    before = contents(out)
    command = ["shards", str(tree), "--short-side", "16", "--per-shard", "2", "--workers", "1", "--out"]
    assert main([*command, str(out)]) == 1
    assert f"{name} is there already" in one_line(capsys) and contents(out) == before
    (out / name).unlink()
    assert main([*command, str(out)]) == 0 and (out / ".download.part").exists()
    assert main([*command, str(tree)]) == 1
    assert "holds the photographs" in capsys.readouterr().err


def test_a_shard_that_a_kill_left_without_its_sidecar_is_written_anew(scenes, tmp_path):
    """The tar takes its name before the sidecar does; in between nothing says whose it is but the tar."""
    out, tree = tmp_path / "out", tmp_path / "tree"
    for index, scene in enumerate(scenes):
        folder = tree / ("train", "val", "test")[index % 3] / "a"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene).save(folder / f"{index}.png")
    command = ["shards", str(tree), "--short-side", "16", "--per-shard", "2", "--workers", "1", "--out", str(out)]
    assert main(command) == 0
    whole = contents(out)
    for path in out.iterdir():
        if path.name != "train-000000.tar":
            path.unlink()
    assert main(command) == 0 and contents(out) == whole


@pytest.fixture
def training(tmp_path, scenes, monkeypatch):
    """Words of a command that trains two steps on a few scenes."""
    from repro.datasets.sources import prepare

    world = WorldSource(train=8, val=4, test=4)
    for split in ("train", "val"):
        prepare(world, split, 32, destination=tmp_path / "data")
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    quick = {"steps": 2, "batch": 4, "crop": 32, "width": 0.0625, "validate_every": 2, "schedule": "'0:1e-3'"}
    words = ["train", "--accelerator", "cpu", "--data", str(tmp_path / "data"), "--params"]
    words.append(str(paths.ROOT / "params.yaml"))
    return words + [word for name, value in quick.items() for word in ("--set", f"train.{name}={value}")]


def test_a_training_replaces_no_weights_of_something_else(training, model, tmp_path, capsys):
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "best.safetensors").write_bytes(model.read_bytes())
    command = [*training, "--objective", "regression", "--folder", str(folder)]
    assert main(command) == 1
    assert "is not of this run" in one_line(capsys)
    assert (folder / "best.safetensors").read_bytes() == model.read_bytes()
    (folder / "best.safetensors").unlink()
    assert main(command) == 0 and main(command) == 0
    capsys.readouterr()
    (folder / "best.safetensors").unlink()
    assert main(command) == 1 and "but no weights" in one_line(capsys)


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ("models: {}", "is no series"),
        ("common: [a]\nmodels: {a: {objective: regression}}", "is no series"),
        ("models: {a: {objective: regression, train.initialization: 5}}", "is no series"),
        ("models: {../escaped: {objective: regression}}", "a model's name is of letters"),
        (
            "models: {a: {objective: regression}, b: {objective: regression, train.stepz: 3}}",
            "there is no setting train.stepz",
        ),
        ("models: {taken: {objective: regression}}", "is not of this training"),
        (None, "cannot be read"),
    ],
)
def test_a_series_is_checked_before_it_begins(series, message, training, model, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "taken.safetensors").write_bytes(model.read_bytes())
    file = tmp_path / "series.yaml"
    if series:
        file.write_text(series)
    before = contents(out)
    assert main([*training, "--series", str(file), "--out", str(out)]) == 1
    assert message in one_line(capsys) and contents(out) == before


@pytest.mark.parametrize("fault", [b"", b"PK\x03\x04 cut off", b"no prior", "folder", "other"])
def test_a_prior_that_is_none_is_one_line(fault, training, tmp_path, capsys):
    prior = tmp_path / "prior.npz"
    if fault == "folder":
        prior.mkdir()
    elif fault == "other":
        np.savez(prior, letters=np.arange(3))
    else:
        prior.write_bytes(fault)
    assert main([*training, "--objective", "rebalanced", "--prior", str(prior), "--folder", str(tmp_path / "run")]) == 1
    assert "is no prior of this project, or broken" in one_line(capsys)


@pytest.mark.parametrize(
    ("name", "content"), [("train.json", "{}"), ("train.json", "{"), ("train.npy", ""), ("train.npy", "x")]
)
def test_prepared_photographs_that_are_none_are_one_line(name, content, training, tmp_path, capsys):
    (tmp_path / "data" / name).write_text(content)
    assert main([*training, "--objective", "regression", "--folder", str(tmp_path / "run")]) == 1
    assert "are no prepared photographs, or broken" in one_line(capsys)


def test_an_accelerator_that_is_not_there_is_one_line(training, capsys):
    missing = "mps" if torch.cuda.is_available() else "cuda"
    command = [missing if word == "cpu" else word for word in training]
    assert main([*command, "--objective", "regression"]) == 1
    assert f"accelerator {missing} cannot be used here" in one_line(capsys)


def test_a_site_replaces_a_site_alone(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(paths.ROOT / "docs"))
    import build_site

    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(FileExistsError, match="is no earlier site"):
        build_site.build(tmp_path / "pages", tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "precious"


@pytest.mark.parametrize("kind", ["--course", "--nbgrader"])
def test_an_edited_file_of_a_courses_package_stays(kind, tmp_path, capsys):
    assert main(["exercises", kind, str(tmp_path / "course")]) == 0
    assert main(["exercises", kind, str(tmp_path / "course")]) == 0, "as it was made"
    edited = next((tmp_path / "course").rglob("repro/checks/running.py"))
    edited.write_text("# mine")
    capsys.readouterr()
    assert main(["exercises", kind, str(tmp_path / "course")]) == 1
    assert "was edited, or is of another version" in one_line(capsys) and edited.read_text() == "# mine"
    assert main(["exercises", kind, str(tmp_path / "course"), "--force"]) == 0 and edited.read_text() != "# mine"


@pytest.mark.parametrize("content", ['{"cells": 5, "metadata": {}}', '{"cells": ["x"], "metadata": {}}', "[]", "{"])
def test_what_is_no_notebook_is_not_replaced(content, tmp_path, capsys):
    place = tmp_path / "course/handout/01_bins_and_weights.ipynb"
    place.parent.mkdir(parents=True)
    place.write_text(content)
    assert main(["exercises", "--course", str(tmp_path / "course")]) == 1
    assert "was edited since it was made" in one_line(capsys) and place.read_text() == content

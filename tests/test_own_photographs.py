"""A folder of one's own photographs: copies, what came or went, and what is said before anything is trained."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from repro import paths
from repro.__main__ import main
from repro.commands.data import NONE
from repro.datasets.advice import advice, listing
from repro.datasets.sources import SPLITS, FolderSource, SourceError, VocSource, load_prepared, prepare


def photo(number, side=24):
    rng = np.random.default_rng(number)
    return np.kron(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8), np.ones((side // 4, side // 4, 1), np.uint8))


def save(rgb8, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb8).save(path)


def tree(root, counts, classes="ab"):
    """counts: photographs of each split, by class in turns."""
    number = 0
    for split, count in counts.items():
        for index in range(count):
            save(photo(number), root / split / classes[index % len(classes)] / f"{number}.png")
            number += 1
    return root


def data(root, out, *more):
    return main(["data", "--source", "folder", "--folder", str(root), "--size", "16", "--out", str(out), *more])


def prepared(root, out):
    return {split: prepare(FolderSource(root), split, 16, None, out) for split in SPLITS}


# ---- copies ----


def test_copies_under_other_names_are_put_aside_and_counted(tmp_path, capsys):
    root = tree(tmp_path / "mine", {"train": 40, "val": 8, "test": 8})
    shutil.copy(root / "test/a/48.png", root / "test/a/again.png")
    Image.open(root / "test/b/49.png").save(root / "test/b/other.bmp")  # other bytes, the same pixels
    assert data(root, tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "test: 8 photographs, 0 gray and 0 broken ones set aside, 2 copies as well" in said
    found = load_prepared(tmp_path / "out", "test")
    assert (found.report["kept"], found.report["copies"], found.report["broken"]) == (8, 2, 0)
    assert len({square.tobytes() for square in found.photos}) == 8
    assert all(entry["reason"].startswith("a copy of test/") for entry in found.report["rejected"])


# ---- what is said before anything is trained ----


def test_sound_photographs_are_not_warned_of(tmp_path):
    assert advice(prepared(tree(tmp_path / "x", {"train": 40, "val": 4, "test": 40}), tmp_path / "out"), 32) == []


def test_a_batch_larger_than_the_set_and_few_to_test_on(tmp_path):
    found = advice(prepared(tree(tmp_path / "x", {"train": 20, "val": 4, "test": 6}), tmp_path / "out"), 32)
    assert len(found) == 2
    assert found[0].startswith("a batch of 32 is larger than the 20 photographs to train on")
    assert found[1].startswith("only 6 photographs are there to test on")


def test_a_class_that_one_split_alone_has(tmp_path):
    root = tree(tmp_path / "x", {"train": 40, "val": 4, "test": 40})
    save(photo(900), root / "test/<b>only & here/1.png")
    save(photo(901), root / "train/gone/1.png")
    found = advice(prepared(root, tmp_path / "out"), 8)
    assert [line.split(":")[0] for line in found] == [
        "there are photographs of '<b>only & here' to test on and none to train on",
        "there are photographs of 'gone' to train on and none to test on",
    ]


def test_sepia_prints_are_noticed_and_sunsets_are_not(tmp_path):
    root = tree(tmp_path / "x", {"train": 40, "val": 4, "test": 40})
    for number, path in enumerate(sorted((root / "train").rglob("*.png"))):
        gray = photo(number).mean(2, keepdims=True)
        save(np.clip(gray * (1.07, 0.9, 0.7), 0, 255).astype(np.uint8), path)
    (found,) = advice(prepared(root, tmp_path / "out"), 8)
    assert found.startswith("40 of 40 photographs to train on have a single hue, as sepia prints")
    for number, path in enumerate(sorted((root / "train").rglob("*.png"))):
        save((photo(number) * (1.0, 0.7, 0.4)).astype(np.uint8), path)  # warm light over all colours
    assert not advice(prepared(root, tmp_path / "warm"), 8)


@pytest.mark.parametrize("test, code", [(3, 1), (4, 0)])
def test_a_study_that_cannot_be_is_said_by_the_data_stage(tmp_path, capsys, test, code):
    root = tree(tmp_path / "x", {"train": 40, "val": 4, "test": test})
    assert data(root, tmp_path / "out", "--test", "0") == code
    out, err = capsys.readouterr()
    if code:
        assert "there are 3 photographs to test on, and the study of page 08 needs 4" in err and err.count("\n") == 1
    else:
        assert "warning: the study of page 08 shrinks to 0 practice pairs and 4 pairs" in out


# ---- what came or went, and where a folder is ----


def test_a_listing_changes_with_the_files_and_only_with_them(tmp_path):
    root = tree(tmp_path / "x", {"train": 4})
    first = listing(root)
    assert first.count("\n") == 4 and listing(root) == first
    (root / "train/a/0.png").unlink()
    fewer = listing(root)
    assert fewer.count("\n") == 3
    save(photo(7), root / "train/b/new\n.png")
    assert listing(root).count("\n") == 4 != fewer
    for path in root.rglob("*.png"):
        path.unlink()
    assert listing(root) == ""
    assert listing(tmp_path / "none") == f"{tmp_path / 'none'} is not there\n"


def test_the_pipelines_listing_follows_the_folders_that_the_settings_name(tmp_path):
    root, params = tree(tmp_path / "x", {"train": 4}), tmp_path / "params.yaml"
    text = (paths.ROOT / "params.yaml").read_text(encoding="utf-8")
    params.write_text(text.replace('folder: "" # of photographs', f'folder: "{root}" # of photographs', 1))
    look = ["data", "--params", str(params), "--list", str(tmp_path / "seen")]
    assert main([*look, "--source", "folder"]) == 0
    assert (tmp_path / "seen/data.txt").read_text() == listing(root)
    assert (tmp_path / "seen/unseen.txt").read_text() == (tmp_path / "seen/legacy.txt").read_text() == NONE
    assert main(look) == 0, "the painted world reads no folder"
    assert (tmp_path / "seen/data.txt").read_text() == NONE


def test_a_relative_folder_starts_in_the_projects_folder_and_an_options_where_it_is_given(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(paths, "ROOT", tmp_path / "project")
    assert paths.given("mine") == str(tmp_path / "project/mine") and paths.given("") == ""
    assert paths.given("/mine") == "/mine" and paths.given("s3://a/b") == "s3://a/b"
    assert not paths.given("~/mine").startswith((str(tmp_path), "~"))
    tree(tmp_path / "here", {"train": 40, "val": 4, "test": 4})
    monkeypatch.chdir(tmp_path)
    params = tmp_path / "params.yaml"
    shutil.copy(paths.NOTEBOOKS.parent / "params.yaml", params)
    assert data("here", tmp_path / "out", "--params", str(params)) == 0
    assert load_prepared(tmp_path / "out", "test").report["settings"]["root"] == str(tmp_path / "here")


# ---- made to do harm ----


def devkit(root, name):
    """A PASCAL VOC devkit of one photograph with this name in its lists."""
    from repro.datasets.voc import VOC_CLASSES

    (root / "ImageSets/Main").mkdir(parents=True)
    for kind in VOC_CLASSES:
        (root / f"ImageSets/Main/{kind}_test.txt").write_bytes(name + b" 1\n")
    return root


@pytest.mark.parametrize("name", [b"../../secret", b"/etc/passwd", b"a/b", b"\xff\xfe", b"A" * 5000 + b"/"])
def test_a_devkits_lists_lead_nowhere_else(tmp_path, name):
    save(photo(1), tmp_path / "secret.jpg")
    with pytest.raises(SourceError, match="no name of a photograph|no text in UTF-8") as refused:
        VocSource(devkit(tmp_path / "kit", name)).items("test")
    assert str(refused.value).isprintable() and len(str(refused.value)) < 400


def test_xml_of_a_devkit_is_not_read(tmp_path):
    """Its annotations may hold anything, as entities that grow to gigabytes: only the lists count."""
    root = devkit(tmp_path / "kit", b"000001")
    save(photo(1), root / "JPEGImages/000001.jpg")
    bomb = (
        '<!DOCTYPE x [<!ENTITY a "b">' + "".join(f'<!ENTITY a{n} "{"&a;" * 99}">' for n in range(9)) + "]><x>&a8;</x>"
    )
    (root / "Annotations").mkdir()
    (root / "Annotations/000001.xml").write_text(bomb)
    source = VocSource(root)
    (item,) = source.items("test")
    assert source.read(item).shape == (24, 24, 3)


BAD = "<img src=x onerror=alert(1)>\"'&"


def test_names_of_classes_and_files_are_text_in_tables_and_captions(capsys, monkeypatch):
    from repro.pages import figures, show

    shown = []
    monkeypatch.setattr(show, "display", lambda thing: shown.append(thing.data))
    figures.show_table([BAD, BAD], [[BAD, 1.0], [BAD, BAD]], BAD)
    figures.show(figures.new_figure(width=1, height=1)[0], BAD, BAD)
    for page in shown:
        assert "<img src=x" not in page and "onerror=alert(1)>" not in page
    assert len(shown) == 2 and all("&lt;img src=x" in page for page in shown)


@pytest.mark.slow
def test_nobody_is_called_from_here(tmp_path):
    """A folder, a page's records and a coloured photograph need no network: any connection would be an error."""
    save(photo(3), tmp_path / "in/photo.png")
    script = f"""if 1:
        import socket
        def refuse(*arguments):
            raise SystemExit(f"called out: {{arguments[1:]}}")
        socket.socket.connect = socket.socket.connect_ex = refuse
        socket.getaddrinfo = lambda *arguments, **options: refuse(None, *arguments)
        from repro.__main__ import main
        assert main(["colorize", {str(tmp_path / "in")!r}, "--out", {str(tmp_path / "out")!r}]) == 0
        sizes = ["--train", "4", "--val", "2", "--test", "4", "--size", "16"]
        assert main(["data", *sizes, "--out", {str(tmp_path / "d")!r}]) == 0
    """
    done = subprocess.run([sys.executable, "-c", script], cwd=paths.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

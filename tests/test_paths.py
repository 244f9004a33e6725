"""Where things lie, and which of two files a page reads."""

import os

import pytest

from repro import paths


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "OUTPUTS", tmp_path / "outputs")
    monkeypatch.setattr(paths, "SCRATCH", tmp_path / "scratch")
    return tmp_path


def write(path, text, age=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (1_700_000_000 - age,) * 2)


def test_the_root_is_the_folder_of_the_library():
    assert (paths.ROOT / "repro" / "paths.py").samefile(paths.__file__)
    assert paths.NOTEBOOKS == paths.ROOT / "notebooks"


def test_destination_depends_on_who_runs_the_page_and_makes_the_folder(places):
    assert paths.destination("models/a.safetensors", pipeline=True) == places / "outputs/models/a.safetensors"
    assert paths.destination("models/a.safetensors") == places / "scratch/models/a.safetensors"
    assert (places / "outputs/models").is_dir() and (places / "scratch/models").is_dir()


def test_by_hand_the_newer_file_is_read(places):
    write(places / "outputs/prior.npz", "pipeline", age=10)
    assert paths.find("prior.npz").read_text() == "pipeline"
    write(places / "scratch/prior.npz", "hand", age=5)
    assert paths.find("prior.npz").read_text() == "hand"
    write(places / "outputs/prior.npz", "pipeline again", age=1)
    assert paths.find("prior.npz").read_text() == "pipeline again"


def test_the_pipeline_never_reads_scratch(places):
    write(places / "scratch/prior.npz", "hand")
    with pytest.raises(FileNotFoundError, match="neither in outputs/. It is made by page 01"):
        paths.find("prior.npz", pipeline=True, made_by="page 01")
    write(places / "outputs/prior.npz", "pipeline", age=99)
    assert paths.find("prior.npz", pipeline=True).read_text() == "pipeline"


def test_by_hand_what_comes_along_stands_in_until_there_is_another(places, monkeypatch):
    monkeypatch.setattr(paths, "READY", places / "ready")
    write(places / "ready/prior.npz", "comes along")
    assert paths.find("prior.npz").read_text() == "comes along"
    with pytest.raises(FileNotFoundError):
        paths.find("prior.npz", pipeline=True)
    write(places / "scratch/prior.npz", "hand", age=10**6)
    assert paths.find("prior.npz").read_text() == "hand", "however old"


def test_a_missing_file_says_what_to_run(places):
    with pytest.raises(
        FileNotFoundError, match="neither in outputs/ nor in scratch/. It is made by page 04.*make repro"
    ):
        paths.find("models/x", made_by="page 04")

"""What counts as a photograph in a folder, and what is left alone there."""

import pytest

from repro.datasets.finding import PHOTO_SUFFIXES, find_photos


def test_find_photos(tmp_path):
    wanted = ["a/2.JPG", "a/deep/3.tiff", "b.png", "ünï.webp"]
    for name in [*wanted, "notes.txt", ".hidden.jpg", ".thumbs/1.jpg", "a/.git/4.jpg"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_photos(tmp_path) == sorted(tmp_path / name for name in wanted)
    given_file = tmp_path / "notes.txt"
    assert find_photos([given_file, tmp_path / "a", str(tmp_path / "a" / "2.JPG")]) == [
        given_file, tmp_path / "a/2.JPG", tmp_path / "a/deep/3.tiff"
    ]  # fmt: skip
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_photos([tmp_path, tmp_path / "nowhere"])
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in PHOTO_SUFFIXES)


def test_find_photos_survives_a_link_that_leads_back(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.jpg").touch()
    try:
        (tmp_path / "a/back").symlink_to(tmp_path, target_is_directory=True)
    except OSError:
        pytest.skip("links are not allowed here")
    assert find_photos(tmp_path) == [tmp_path / "a/1.jpg"]

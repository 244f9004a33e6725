"""Colouring whole albums: originals stay as they are, and one odd file costs only itself."""

import contextlib
import errno
import io
import os
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from PIL import Image

from repro import paths
from repro.__main__ import main
from repro.bins import ab_bins
from repro.colorizer import Colorizer
from repro.colorizer.results import fingerprint, original_of
from repro.colorizer.weights import save_weights
from repro.files import printable
from repro.network import ColorizationNet
from repro.objectives import Objective


class Stub:
    """Colours at once: red where it was dark."""

    description = "a stub"

    def colorize(self, photo):
        return np.stack((255 - photo[..., 0], photo[..., 1], photo[..., 2]), -1)


@pytest.fixture
def stub(monkeypatch):
    monkeypatch.setattr(Colorizer, "load", lambda *_, **__: Stub())


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, ColorizationNet(0.03), Objective("classification", ab_bins()), short_side=16)
    return path


def photo(path, seed=0, size=(6, 9), **settings):
    """A small gray photograph on disk, unlike every other seed's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)).save(path, **settings)
    return path


def contents(folder):
    """{path: bytes, a link's target, or None} of all there is."""
    return {
        path: os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def unchanged(before):
    return all(contents(path.parent).get(path) == content for path, content in before.items())


def run(*arguments):
    return main(["colorize", *map(str, arguments)])


# ---- originals, and whatever else lies there ----


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_into_the_album_itself(stub, tmp_path, more):
    album = tmp_path / "album"
    for seed, name in enumerate(("a.jpg", "b.png", "c.tif", "sub/a.jpg")):
        photo(album / name, seed)
    before = contents(album)
    for given in ([album], sorted(album.iterdir()), [album / "a.jpg"], [album]):
        assert run(*given, "--out", album, *more) == 0
        assert unchanged(before)
    names = {path.relative_to(album).as_posix() for path in contents(album)}
    results = {"a-colored.jpg", "b-colored.png", "c-colored.png", "sub/a-colored.jpg", "a-2.jpg"}
    assert names - {path.relative_to(album).as_posix() for path in before} == results


def test_a_foreign_file_in_the_folder_of_results_stays(stub, tmp_path, capsys):
    source, out = photo(tmp_path / "scan.tif"), tmp_path / "out"
    out.mkdir()
    (out / "scan.png").write_bytes(b"somebody's")
    (out / "scan-2.png").symlink_to("nowhere")
    before = contents(out)
    for _ in range(2):
        assert run(source, "--out", out) == 0
    assert unchanged(before) and original_of(out / "scan-3.png") == fingerprint(source.read_bytes())
    assert len(contents(out)) == 3 and "is there already" in capsys.readouterr().out
    assert run(source, "--out", out, "--overwrite") == 0
    assert original_of(out / "scan.png"), "asked for"


def test_overwriting_spares_every_original_of_the_run(stub, tmp_path):
    """The result of sub/x.jpg would be called as an original, as a link to one, as another name of one."""
    real = photo(tmp_path / "elsewhere/real.jpg", 1)
    album = tmp_path / "album"
    for seed, name in enumerate(("x.jpg", "sub/x.jpg", "sub/link.jpg", "sub/hard.jpg")):
        photo(album / name, seed + 10)
    (album / "link.jpg").symlink_to(real)
    os.link(real, album / "hard.jpg")
    before = contents(tmp_path)
    files = [album / name for name in ("x.jpg", "link.jpg", "hard.jpg", "sub/x.jpg", "sub/link.jpg", "sub/hard.jpg")]
    assert run(*files, "--out", album, "--overwrite") == 0
    assert unchanged(before)
    assert len(list(album.glob("*-2.jpg"))) == 3


@pytest.mark.parametrize("out", [".", "..", "scans", "scans/coloured", "elsewhere"])
def test_out_above_beside_in_or_equal_to_the_folder(stub, tmp_path, monkeypatch, capsys, out):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    photo(Path("scans/a.jpg"))
    photo(Path("scans/sub/b.png"), 1)
    before = contents(tmp_path)
    for expected in ("2 coloured, 0 skipped", "0 coloured, 2 there already, 0 skipped"):
        assert run("scans", "--out", out) == 0
        assert expected in capsys.readouterr().out
    assert unchanged(before)


def test_names_that_are_one_on_some_disk(stub, tmp_path):
    e_acute = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")
    names = [
        "IMG_1.JPG",
        "img_1.jpg",
        f"{e_acute[0]}.jpg",
        f"{e_acute[1]}.jpg",
        "Sub/x.jpg",
        "sub/X.jpg",
        "x.tif",
        "x.bmp",
    ]
    for seed, name in enumerate(names):
        photo(tmp_path / "album" / name, seed)
    assert run(tmp_path / "album", "--out", tmp_path / "out") == 0
    results = [path.relative_to(tmp_path) for path in contents(tmp_path / "out") if path.is_file()]
    folded = {unicodedata.normalize("NFC", path.as_posix()).casefold() for path in results}
    assert len(results) == len(folded) == len(names)


def test_one_photograph_named_twice_is_coloured_once(stub, tmp_path, capsys):
    first = photo(tmp_path / "album/a.jpg")
    (tmp_path / "album/b.jpg").symlink_to(first)
    (tmp_path / "again").symlink_to(tmp_path / "album")
    assert run(first, tmp_path / "album", first, tmp_path / "again", "--out", tmp_path / "out") == 0
    assert [path.name for path in contents(tmp_path / "out")] == ["a.jpg"]
    assert f"passed over {tmp_path}/album/b.jpg: it is the same file as {first}" in capsys.readouterr().out


def test_an_interrupted_batch_goes_on(stub, tmp_path, monkeypatch, capsys):
    for seed in range(4):
        photo(tmp_path / f"album/{seed}.jpg", seed)
    colorize, calls = Stub.colorize, []

    def interrupted(self, picture):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return colorize(self, picture)

    monkeypatch.setattr(Stub, "colorize", interrupted)
    out = tmp_path / "out"
    assert run(tmp_path / "album", "--out", out) == 130
    (out / "0.jpg").write_bytes((out / "0.jpg").read_bytes()[:-300])  # as if a copy of it had been cut off
    assert run(tmp_path / "album", "--out", out) == 0
    assert "3 coloured, 1 there already" in capsys.readouterr().out
    assert sorted(path.name for path in contents(out)) == ["0-2.jpg", "0.jpg", "1.jpg", "2.jpg", "3.jpg"]


def test_what_another_run_writes_meanwhile_stays(stub, tmp_path, monkeypatch):
    """The folder of results was looked through before the other run wrote there."""
    for seed in range(2):
        photo(tmp_path / f"album/{seed}.jpg", seed)
    colorize = Stub.colorize

    def in_a_crowd(self, picture):
        if not (tmp_path / "out/1.jpg").exists():
            photo(tmp_path / "out/1.jpg", 9)
        return colorize(self, picture)

    monkeypatch.setattr(Stub, "colorize", in_a_crowd)
    assert run(tmp_path / "album", "--out", tmp_path / "out") == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["0.jpg", "1-2.jpg", "1.jpg"]
    assert original_of(tmp_path / "out/1.jpg") is None


def test_another_photograph_of_the_same_name_is_no_earlier_result(stub, tmp_path, capsys):
    for seed, folder in enumerate(("one", "two")):
        assert run(photo(tmp_path / folder / "a.jpg", seed), "--out", tmp_path / "out") == 0
    assert [path.name for path in contents(tmp_path / "out")] == ["a-2.jpg", "a.jpg"]


# ---- one odd thing among good ones ----


def odd_memory(folder, monkeypatch):
    path, colorize = photo(folder / "odd.png", 5, (7, 7)), Stub.colorize

    def too_little(self, picture):
        if picture.shape[:2] == (7, 7):
            raise MemoryError
        return colorize(self, picture)

    monkeypatch.setattr(Stub, "colorize", too_little)
    return path, "memory"


def odd_torch(folder, monkeypatch):
    path, colorize = photo(folder / "odd.png", 5, (7, 7)), Stub.colorize

    def too_little(self, picture):
        if picture.shape[:2] == (7, 7):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")
        return colorize(self, picture)

    monkeypatch.setattr(Stub, "colorize", too_little)
    return path, "memory"


def odd_loop(folder, _):
    (folder / "odd.jpg").symlink_to("odd.jpg")
    return folder / "odd.jpg", "symbolic links"


def odd_dangling(folder, _):
    (folder / "odd.jpg").symlink_to("nowhere.jpg")
    return folder / "odd.jpg", "No such file"


def odd_absent(folder, _):
    return folder / "odd.jpg", "No such file"


def odd_pipe(folder, _):
    os.mkfifo(folder / "odd.jpg")
    return folder / "odd.jpg", "a pipe or a device"


def odd_device(folder, _):
    (folder / "odd.jpg").symlink_to("/dev/zero")
    return folder / "odd.jpg", "a pipe or a device"


def odd_without_end(folder, _):
    (folder / "odd.jpg").symlink_to("/proc/self/pagemap")  # an ordinary file, as it says, of 0 bytes
    return folder / "odd.jpg", "the file is empty" if sys.platform == "linux" else "No such file"


def odd_size(folder, _):
    with open(folder / "odd.jpg", "wb") as file:
        file.truncate(2**33)  # sparse: it takes no room
    return folder / "odd.jpg", "8.0 GiB are more than"


def odd_raw(folder, _):
    return photo(folder / "odd.tif").rename(folder / "odd.NEF"), "raw file"


def odd_suffix(folder, _):
    (folder / "odd.jxl").write_bytes(b"\xff\x0a0123456789")
    return folder / "odd.jxl", "format that can be read"


def odd_path(folder, _):
    return folder / ("x" * 300 + ".jpg"), "File name too long"


def odd_below_a_file(folder, _):
    return photo(folder / "b.png") / "odd.jpg", "Not a directory"


ODD = [value for name, value in globals().items() if name.startswith("odd_")]


@pytest.mark.skipif(os.name != "posix", reason="pipes, devices and links as Linux and macOS have them")
@pytest.mark.parametrize("odd", ODD)
def test_one_odd_thing_is_named_and_the_others_are_coloured(stub, tmp_path, monkeypatch, capsys, odd):
    good = [photo(tmp_path / "album" / name, seed) for seed, name in enumerate(("a.jpg", "z.png"))]
    path, reason = odd(tmp_path / "album", monkeypatch)
    for given in ([good[0], path, good[1]], [tmp_path / "album", path]):
        out = tmp_path / f"out-{len(given)}"
        assert run(*given, "--out", out) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and path.name in error and reason in error
        assert original_of(out / "a.jpg") and original_of(out / "z.png")


def test_a_name_as_long_as_the_disk_allows(stub, tmp_path):
    for seed, name in enumerate(("x" * 251 + ".jpg", "ü" * 125 + ".tif", "ü" * 127, "x" * 251 + ".png")):
        photo(tmp_path / "album" / name, seed, format="JPEG" if name.endswith(".jpg") else "PNG")
    for out in (tmp_path / "out", tmp_path / "album"):
        files = sorted((tmp_path / "album").iterdir())
        assert run(*files, "--out", out) == 0
    assert len(contents(tmp_path / "out")) == 4 and len(contents(tmp_path / "album")) == 8


def test_a_folder_where_a_result_would_lie(stub, tmp_path):
    photo(tmp_path / "album/scan.tif")
    photo(tmp_path / "album/scan.png/inner.jpg", 1)
    photo(tmp_path / "album/scan.bmp", 2)
    (tmp_path / "out/scan-2.png").mkdir(parents=True)
    assert run(tmp_path / "album", "--out", tmp_path / "out") == 0
    results = {path.relative_to(tmp_path / "out").as_posix() for path in contents(tmp_path / "out") if path.is_file()}
    assert results == {"scan-3.png", "scan-4.png", "scan.png/inner.jpg"}


def test_a_file_where_a_folder_of_results_would_lie(stub, tmp_path, capsys):
    photo(tmp_path / "album/sub/a.jpg")
    photo(tmp_path / "album/z.jpg", 1)
    photo(tmp_path / "out/sub", 2, format="PNG")
    before = contents(tmp_path)
    assert run(tmp_path / "album", "--out", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "sub/a.jpg" in error and "None" not in error
    assert unchanged(before) and original_of(tmp_path / "out/z.jpg")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_ends_the_run_and_the_next_run_goes_on(stub, tmp_path, monkeypatch, capsys, code):
    for seed in range(3):
        photo(tmp_path / f"album/{seed}.jpg", seed)
    calls = []

    def full(handle):
        calls.append(handle)
        if len(calls) > 2:  # a file and its folder
            raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert run(tmp_path / "album", "--out", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and os.strerror(code) in error and "1 of 3 are coloured" in error
    assert [path.name for path in contents(tmp_path / "out")] == ["0.jpg"], "no temporary file stays"
    assert run(tmp_path / "album", "--out", tmp_path / "out") == 0


def test_a_folder_that_cannot_be_written(stub, tmp_path, capsys):
    source = photo(tmp_path / "a.jpg")
    for out in (source, source / "out", "/proc/coloured"):
        assert run(source, "--out", out) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"error: cannot write to {out}: ") and error.count("\n") == 1
        assert "None" not in error


def test_an_encoder_error_has_a_reason(stub, tmp_path, monkeypatch, capsys):
    def broken(*_, **__):
        raise OSError("encoder error -2 when writing image file")

    source = photo(tmp_path / "a.jpg")
    monkeypatch.setattr(Image.Image, "save", broken)
    assert run(source, "--out", tmp_path / "out") == 1
    assert "encoder error -2" in capsys.readouterr().err


@pytest.mark.parametrize("temperature", ["0", "-1", "inf", "nan"])
def test_a_temperature_that_is_none(tmp_path, capsys, temperature):
    assert run(photo(tmp_path / "a.jpg"), "--out", tmp_path / "out", f"--temperature={temperature}") == 1
    error = capsys.readouterr().err
    assert f"got {temperature}" in error and error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_pages_are_counted(stub, tmp_path, capsys):
    pages = [Image.new("L", (8, 8), shade) for shade in (0, 100, 200)]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "phone.mpo", "MPO", save_all=True, append_images=pages[1:])
    assert run(tmp_path, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "scan.png  (the first of 3 pages)" in said and said.count("the first of") == 1


def test_a_guess_is_said_as_what_it_is(stub, tmp_path, capfd):
    """Not as damage, once for each photograph, and with nothing of the program's own."""
    for seed in range(2):
        values = np.random.default_rng(seed).uniform(0, 300, (9, 9)).astype(np.float32)
        (tmp_path / "album").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / f"album/{seed}.tif", values)
    assert run(tmp_path / "album", "--out", tmp_path / "out") == 0
    said, error = capfd.readouterr()
    assert not error and said.count("(the file does not say its range; 0 is read as black, ") == 2
    assert "damaged" not in said and "Warning" not in said


# ---- trees of anything ----

TREE_NAMES = ("a.jpg", "A.JPG", "a.png", "a.tif", "a-colored.jpg", "a-2.jpg", "-b.jpg", "n\new.png", "\u202eb.jpg")
TREE_NAMES += ("é.jpg", unicodedata.normalize("NFD", "é.jpg"), "ß.png", "SS.png", ".hidden.jpg", "x" * 251 + ".jpg")
FOLDERS = ("", "sub", "Sub", "out", "@eaDir", "sub/a.jpg")
KINDS = ("photo", "photo", "copy", "hard", "link", "nowhere", "loop", "up", "pipe", "folder", "text", "empty", "half")


def plant(root, entries):
    """Make what can be made of [(kind, folder, name, seed)]; returns the paths."""
    planted = []
    for kind, folder, name, seed in entries:
        path = root / folder / name
        earlier = [path for path in planted if path.is_file() and not path.is_symlink()]
        with contextlib.suppress(FileExistsError, NotADirectoryError):
            path.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(path):
                continue
            if kind in ("photo", "half") or kind in ("copy", "hard", "link") and not earlier:
                photo(path, seed, format="JPEG" if path.suffix.lower() == ".jpg" else "PNG")
                path.write_bytes(path.read_bytes()[: 100 if kind == "half" else None])
            elif kind == "copy":
                path.write_bytes(earlier[-1].read_bytes())
            elif kind == "hard":
                os.link(earlier[-1], path)
            elif kind in ("link", "nowhere", "loop", "up"):
                goals = {"nowhere": "nothing-here", "loop": name, "up": ".."}
                path.symlink_to(goals.get(kind) or earlier[-1])
            elif kind == "pipe":
                os.mkfifo(path)
            elif kind == "folder":
                path.mkdir()
            else:
                path.write_bytes(b"no photograph" * (kind == "text"))
            planted.append(path)
    return planted


def meant(named):
    """Every path that a person may count on: what is named, and what Python's own walk finds in folders."""
    for root in named:
        if not root.is_dir():
            yield root
            continue
        seen = set()
        for folder, inner, files in os.walk(root, followlinks=True):
            inner[:] = [name for name in inner if name != "@eaDir"] if os.path.realpath(folder) not in seen else []
            files = files if os.path.realpath(folder) not in seen else []
            seen.add(os.path.realpath(folder))
            yield from (Path(folder, name) for name in files if not name.startswith("."))


def said_by(*arguments):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = run(*arguments)
    return code, said.getvalue()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="pipes and links as Linux and macOS have them")
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@hypothesis.given(
    entries=st.lists(
        st.tuples(st.sampled_from(KINDS), st.sampled_from(FOLDERS), st.sampled_from(TREE_NAMES), st.integers(0, 3)),
        min_size=1, max_size=10,
    ),
    by_name=st.booleans(),
    place=st.sampled_from(["elsewhere", "album", "album/out", ".", "link", "album/sub", "album/Sub"]),
    overwrite=st.booleans(),
)  # fmt: skip
def test_every_input_is_coloured_or_named_and_nothing_that_existed_changes(stub, entries, by_name, place, overwrite):
    with tempfile.TemporaryDirectory() as folder:
        album, out = Path(folder, "album"), Path(folder, place)
        album.mkdir()
        planted = plant(album, entries)
        if place == "link":
            out.symlink_to("album", target_is_directory=True)
        given = planted if by_name else [album]
        inputs, before = list(meant(given)), contents(Path(folder))
        digests = {path: fingerprint(path.read_bytes()) for path in inputs if path.is_file()}

        code, said = said_by(*given, "--out", out, *["--overwrite"] * overwrite)
        if out.exists() and not out.is_dir():
            assert code == 1 and unchanged(before)
            return
        now = contents(Path(folder))
        done = {original_of(path) for path in now if path.is_file()}
        for path in inputs:
            assert digests.get(path) in done - {None} or printable(path) in said, (path, said)
        assert "cannot be coloured" not in said and "Traceback" not in said
        assert code == int("skipped " in said.replace(" skipped", "") or "error: " in said)
        spared = {path for path in before if path in digests or not path.is_relative_to(out) or not overwrite}
        assert all(now.get(path, "gone") == before[path] for path in spared)
        assert not [path for path in now if path.name.endswith(".part")]

        _, again = said_by(*given, "--out", out)
        assert contents(Path(folder)) == now and ("no photographs" in again or "0 coloured" in again), again


# ---- in a process of its own: memory, output, the C libraries ----


def shell(command, folder, **environment):
    names = {"python": f"{sys.executable} -m repro colorize --weights {environment.pop('weights')}"}
    return subprocess.run(
        ["bash", "-c", command.format(**names)], cwd=folder, capture_output=True, text=True, errors="surrogateescape",
        check=False, timeout=300, env=os.environ | {"PYTHONPATH": str(paths.ROOT)} | environment,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits, devices and names of bytes as Linux has them")
def test_output_that_cannot_be_printed(weights, tmp_path):
    """A latin-1 name in a UTF-8 locale, a line break in a name, an ASCII terminal, a closed pipe, a full disk."""
    names = [b"a.jpg", b"l\xe4tin.jpg", b"n\new.jpg", "grün.jpg".encode()]
    for seed, name in enumerate(names):
        photo(tmp_path / "album/x.jpg", seed).rename(tmp_path / "album" / os.fsdecode(name))
    (tmp_path / "album" / os.fsdecode(b"\xff.jpg")).write_bytes(b"no photograph")
    count = lambda out: len(list((tmp_path / out).iterdir()))

    plain = shell("{python} album --out plain", tmp_path, weights=weights)
    assert plain.returncode == 1 and count("plain") == 4
    assert all(text in plain.stdout for text in ("l\\udce4tin.jpg", "n\\new.jpg", "grün.jpg"))
    assert plain.stderr.count("\n") == 1 and "skipped album/\\udcff.jpg" in plain.stderr

    ascii_only = shell("{python} album --out ascii", tmp_path, weights=weights, PYTHONIOENCODING="ascii")
    assert ascii_only.returncode == 1 and count("ascii") == 4 and "gr\\xfcn.jpg" in ascii_only.stdout
    assert "Traceback" not in ascii_only.stderr

    closed = shell("{python} album --out closed 2>err | head -1; exit ${{PIPESTATUS[0]}}", tmp_path, weights=weights)
    assert closed.stdout.count("\n") == 1 and closed.returncode == 1
    assert all(line.startswith("skipped") for line in (tmp_path / "err").read_text().splitlines())

    full = shell("{python} album --out full > /dev/full", tmp_path, weights=weights)
    assert full.returncode == 1 and count("full") == 4
    assert "cannot print: No space left" in full.stderr and full.stderr.count("\n") == 2


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory as Linux has them")
def test_too_little_memory_for_one_photograph(weights, tmp_path):
    """A real limit: 100 megapixels do not fit into what is left, the small ones do."""
    photo(tmp_path / "album/a.png")
    Image.new("L", (10_000, 10_000), 90).save(tmp_path / "album/big.png")
    photo(tmp_path / "album/z.png", 1)
    limited = "import resource, sys; from repro.__main__ import main; from repro.colorizer import Colorizer\n"
    limited += "import psutil; room = psutil.Process().memory_info().vms + 450_000_000\n"
    limited += "resource.setrlimit(resource.RLIMIT_AS, (room, room)); sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", limited, "colorize", "album", "--out", "out", "--weights", weights]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
        env=os.environ | {"PYTHONPATH": str(paths.ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert result.returncode == 1 and sorted(os.listdir(tmp_path / "out")) == ["a.png", "z.png"]
    assert result.stderr.count("\n") == 1 and "skipped album/big.png: too large for the memory" in result.stderr


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "group4"])
def test_libtiff_does_not_speak_among_our_lines(stub, tmp_path, capfd, compression):
    """Damaged strips make libtiff complain on the process's stderr, without a file's name; it goes on with group 4."""
    bits = np.random.default_rng(0).integers(0, 2, (32, 32)).astype(bool)
    image = Image.fromarray(bits) if compression == "group4" else Image.fromarray(bits.astype(np.uint8))
    image.save(tmp_path / "a.tif", compression=compression)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[11:60] = bytes([0, 255] * 25)[:49]
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:  # it does speak
        patch.setattr("repro.files.os.dup2", lambda *_: None)
        run(tmp_path, "--out", tmp_path / "loud")
        assert "Decode" in (loud := capfd.readouterr().err) or "code not yet in table" in loud
    code = run(tmp_path / "a.tif", "--out", tmp_path / "out")
    said = capfd.readouterr()
    if compression == "group4":
        assert (code, said.err) == (0, "") and "a.png  (its file is damaged: Fax4Decode: Bad code word" in said.out
    else:
        assert code == 1 and said.err.startswith("skipped ") and said.err.count("\n") == 1

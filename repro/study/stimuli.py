"""The study's pictures on disk: every photograph, its recolourings, and one with another photograph's colours.

Method (paper, section 3.1, perceptual realism): pairs of 256 x 256 pictures, the photograph and a recolouring of it; 10
practice pairs, then 40, of which a tenth are catch trials against the colours of a random training photograph. Nothing
but the pixels may tell which is which, so every file has a random name, the same header and the same length: PNG with
its data stored, not compressed (a recolouring is smoother and would compress better).
"""

import hashlib
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from repro.color import rgb8_to_lab
from repro.evaluation import baselines
from repro.files import write_atomically
from repro.study import statistics
from repro.study.folder import FORMAT, MANIFEST, StudyError, fingerprint_in, load_study
from repro.study.plan import LEAST, counts_for

RATERS = 12  # for whom is said what a study that had to shrink can tell


def build_study(
    folder, truth, methods, random=None, names=None, seed=0, practice=10, pairs=40, display_ms=1000, size=256,
    report=print,
):  # fmt: skip
    """Write a study folder and return its Study; an earlier study there is replaced.

    truth: (N, S, S, 3) uint8 photographs.  methods: {name: (N, S, S, 3) uint8}, their recolourings.
    random: (N, S, S, 3) uint8, the photographs' lightness with the colours of random training photographs; None: with
    each other's, where there is no training set.
    names: N different strings; None: numbers.  practice, pairs: pairs for a rater; a tenth of `pairs` are
    catch trials.  display_ms: how long each picture is shown.  size: side of the pictures, pixels; all are
    resized alike (Lanczos).  seed: of the files' random names.  report: is told, in a line, where there are
    too few photographs for practice + pairs, so that the study shrinks.
    Raises ValueError if arrays do not fit each other or a photograph occurs twice, StudyError if there are
    fewer than LEAST.
    """
    if not methods or {"truth", "random"} & set(methods):
        raise ValueError('methods must name at least one recolouring, none of them "truth" or "random"')
    random = random_colors(truth, seed=seed) if random is None else random
    names = [f"{number:05d}" for number in range(len(truth))] if names is None else [str(n) for n in names]
    _check(truth, {**methods, "random": random}, names, practice, pairs, display_ms)
    counts = _counts(len(truth), practice, pairs, report)
    folder, rng = Path(folder), np.random.default_rng(seed)
    _clear(folder)
    entries, hashes = [], []
    for number, name in enumerate(names):
        recolored = {method: pictures[number] for method, pictures in methods.items()}
        entry, digests = _write_photograph(folder, truth[number], random[number], recolored, size, rng)
        entries.append({"name": name, **entry})
        hashes.append(digests)
    shown = {**counts._asdict(), "display_ms": display_ms, "size": size}
    _write_manifest(folder, {"format": FORMAT, "methods": list(methods), **shown, "photographs": entries}, hashes)
    return load_study(folder)


def _counts(photographs, practice, pairs, report):
    """The Counts of a study; where they are less than those wanted, what it then can tell is reported."""
    if photographs < LEAST:
        raise StudyError(
            f"a study needs {LEAST} different photographs, got {photographs}: add some to those for testing"
        )
    counts = counts_for(photographs, practice, pairs)
    if counts[:2] != (practice, pairs):
        trials = counts.pairs - counts.catch
        apart = statistics.detectable(RATERS, trials)
        told = f"a share fooled of {100 * (0.5 - apart):.0f} % or less" if apart == apart else "no share at all"
        report(
            f"{photographs} photographs are too few for {practice} practice pairs and {pairs} pairs: each rater sees "
            f"{counts.practice} and {counts.pairs}, of which {counts.catch} are catch trials. {RATERS} raters can then "
            f"tell {told} from 50 %."
        )
    return counts


def _write_manifest(folder, manifest, hashes):
    manifest["fingerprint"] = hashlib.sha256(json.dumps([manifest, hashes]).encode()).hexdigest()[:16]
    write_atomically(folder / MANIFEST, json.dumps(manifest, indent=1).encode())


def random_colors(truth, training=None, seed=0):
    """The photographs with random colours: the fakes of catch trials (paper, section 3.1).

    truth: (N, H, W, 3) uint8.  training: (M, H, W, 3) uint8 photographs of the training set, M > 0, whose colours are
    taken, as in the paper; None: each other's, where there is no training set and N > 1.  Returns the shape of truth:
    own lightness, another photograph's ab.
    """
    other = baselines.others(truth, seed) if training is None else baselines.random(training, len(truth), seed)
    return baselines.painted(truth, other)


def color_difference(rgb8, other_rgb8):
    """Mean distance of two pictures' colours, ab units: (H, W, 3) uint8 twice -> float."""
    apart = rgb8_to_lab(np.ascontiguousarray(rgb8)) - rgb8_to_lab(np.ascontiguousarray(other_rgb8))
    return round(float(np.linalg.norm(apart[..., 1:], axis=-1).mean()), 3)


def _check(truth, others, names, practice, pairs, display_ms):
    if truth.ndim != 4 or truth.shape[1] != truth.shape[2] or truth.shape[3] != 3 or truth.dtype != np.uint8:
        raise ValueError(f"truth must be (N, S, S, 3) uint8 squares, got {truth.shape} {truth.dtype}")
    for name, pictures in others.items():
        if pictures.shape != truth.shape or pictures.dtype != np.uint8:
            raise ValueError(f"{name} must be {truth.shape} uint8 as the truth, got {pictures.shape} {pictures.dtype}")
        if not re.fullmatch(r"[\w .,+-]{1,60}", name):
            raise ValueError(f"a method's name is 1-60 letters, digits, spaces or . , + -, got {name!r}")
    if len(names) != len(truth) or len(set(names)) != len(names):
        raise ValueError(f"names must be {len(truth)} different ones, got {len(set(names))} of {len(names)}")
    if practice < 0 or pairs < 1 or display_ms < 1:
        raise ValueError("practice must be at least 0, pairs and display_ms at least 1")
    if len({photo.tobytes() for photo in truth}) < len(truth):
        raise ValueError("a photograph occurs twice; a rater must not see one twice, so remove the copies")


def _clear(folder):
    """Make room for a study.  Raises StudyError where something else lies there."""
    pictures = folder / "pictures"
    if (folder / MANIFEST).exists():
        fingerprint_in(folder)
    others = [path for path in pictures.rglob("*") if not re.fullmatch(r"[0-9a-f]{32}\.png", path.name)]
    if others:
        raise StudyError(f"{others[0]} is no picture of a study; name another --folder")
    (folder / MANIFEST).unlink(missing_ok=True)  # first: a half-built study must not look like one
    shutil.rmtree(folder / "pictures", ignore_errors=True)
    (folder / "pictures").mkdir(parents=True)


def _write_photograph(folder, truth, random, recolored, size, rng):
    """The manifest's entry of one photograph without its name, and the hashes of its pictures."""
    written = {
        name: _write_picture(folder / "pictures", rgb8, size, rng)
        for name, rgb8 in {"truth": truth, "random": random, **recolored}.items()
    }
    files = {name: picture for name, (picture, _) in written.items()}
    apart = {name: color_difference(truth, rgb8) for name, rgb8 in {**recolored, "random": random}.items()}
    entry = {
        "truth": files.pop("truth"),
        "random": files.pop("random"),
        "methods": files,
        "difference": apart,
    }
    return entry, [digest for _, digest in written.values()]


def _write_picture(folder, rgb8, size, rng):
    """(random id, hash) of a picture written as size x size PNG."""
    picture, buffer = rng.bytes(16).hex(), io.BytesIO()
    photo = Image.fromarray(np.ascontiguousarray(rgb8))
    photo = photo if photo.size == (size, size) else photo.resize((size, size), Image.Resampling.LANCZOS)
    photo.save(buffer, "PNG", compress_level=0)
    (folder / f"{picture}.png").write_bytes(buffer.getvalue())
    return picture, hashlib.sha256(photo.tobytes()).hexdigest()

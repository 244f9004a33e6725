"""A study folder, read: which pictures there are and how they are to be shown.  `stimuli` writes it."""

import json
from dataclasses import dataclass, field
from pathlib import Path

MANIFEST = "study.json"
FORMAT = 1


class StudyError(Exception):
    """A study folder that cannot be used or built, and why."""


@dataclass(frozen=True)
class Photograph:
    """One photograph: file ids of the truth, of its catch picture and of each method's recolouring.

    difference: {method or 'random': mean distance from the true colours, ab units}.
    """

    name: str
    truth: str
    random: str
    methods: dict
    difference: dict


@dataclass(frozen=True)
class Study:
    """A study folder, read.  practice, pairs, catch: counts of one rater; catch pairs are among `pairs`.

    fingerprint: 16 hex digits, of the pixels and the settings: answers belong to one fingerprint.
    """

    folder: Path
    fingerprint: str
    methods: tuple
    photographs: tuple = field(repr=False)
    practice: int
    pairs: int
    catch: int
    display_ms: int
    size: int

    @property
    def trials(self):
        """Pairs that one rater sees, practice included."""
        return self.practice + self.pairs

    def read(self, picture):
        """The PNG of a file id, bytes.  Raises StudyError if it is gone."""
        try:
            return (self.folder / "pictures" / f"{picture}.png").read_bytes()
        except OSError as error:
            raise StudyError(f"{self.folder}: picture {picture} cannot be read: {error.strerror}") from None


def _is_whole(study):
    """Whether all values of a study are of their kinds, and there are photographs enough for a rater."""
    counts = study.practice, study.pairs, study.catch, study.display_ms, study.size
    return (
        isinstance(study.fingerprint, str)
        and all(type(count) is int and count >= 0 for count in counts)
        and 0 <= study.catch <= study.pairs
        and 0 < study.trials <= len(study.photographs)
        and len(study.methods) > 0
        and all(
            all(isinstance(text, str) for text in (photo.name, photo.truth, photo.random))
            and isinstance(photo.methods, dict)
            and isinstance(photo.difference, dict)
            and set(photo.methods) == set(study.methods)
            and all(isinstance(picture, str) for picture in photo.methods.values())
            and all(isinstance(photo.difference.get(name), int | float) for name in (*study.methods, "random"))
            for photo in study.photographs
        )
    )


def fingerprint_in(folder):
    """The fingerprint of the study in a folder, whole or not.  Raises StudyError for a study.json that is none."""
    path = Path(folder) / MANIFEST
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        raise StudyError(f"{path} is there already and is no study; name another --folder") from None


def load_study(folder):
    """The Study in a folder by `build_study`.  Raises StudyError if there is none, or it is not whole."""
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise StudyError(
            f"no study in {folder}: expected {MANIFEST} there; "
            "run the page 08_perceptual_realism, or name another --folder"
        )
    try:
        manifest = json.loads(path.read_text())
        if manifest.pop("format") != FORMAT:
            raise ValueError(f"another format than {FORMAT}")
        photographs = tuple(Photograph(**entry) for entry in manifest.pop("photographs"))
        methods = tuple(manifest.pop("methods"))
        study = Study(Path(folder), methods=methods, photographs=photographs, **manifest)
        if not _is_whole(study):
            raise ValueError("a value is missing or of another kind")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise StudyError(f"{path}: not a study of this project, or broken ({reason}); build it anew") from None
    wanted = {picture for photo in photographs for picture in (photo.truth, photo.random, *photo.methods.values())}
    missing = wanted - {file.stem for file in (Path(folder) / "pictures").glob("*.png")}
    if missing:
        raise StudyError(f"{folder}: {len(missing)} of {len(wanted)} pictures are missing; build it anew")
    return study

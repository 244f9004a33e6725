"""Which mistakes the checks named: counted in one small file beside the notebook, and over a class.

The file holds counts and the checks' own sentences: no name, no code, no time.  It is written only where a student
works in a notebook (IPython), and not at all while REPRO_TALLY is "off".
"""

import json
import os
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

FILE, SETTING = "checks_tally.json", "REPRO_TALLY"
FORMAT = 1
OTHER = "(no mistake that the check knows)"
MOST, LARGEST = 1_000_000, 100_000  # of one count, and bytes of a file that is handed in
TOLD = (
    f"Tries and the mistakes that checks name are counted in {FILE}, in this folder, and nowhere else. It holds no "
    f"name and no code; it is yours to hand in or to delete. %env {SETTING}=off in a cell stops the counting."
)


def note(name, right, mistake, folder=None):
    """Count one try of an exercise.  mistake: what the student was told, or "".  folder: where; None: where they work.

    Whatever goes wrong with the file, a check goes on.
    """
    if os.environ.get(SETTING, "").lower() == "off" or not (folder or _in_a_notebook()):
        return
    path = Path(folder or ".") / FILE
    with suppress(OSError, ValueError):
        new = not path.exists()
        counted = {} if new else read(path)
        mine = counted.setdefault(name, {"tries": 0, "right": 0, "mistakes": {}})
        mine["tries"] += 1
        mine["right"] += int(right)
        if not right:
            mine["mistakes"][mistake or OTHER] = mine["mistakes"].get(mistake or OTHER, 0) + 1
        half = path.with_suffix(".part")
        half.write_text(json.dumps({"format": FORMAT, "exercises": counted}, indent=1) + "\n", encoding="utf-8")
        os.replace(half, path)
        if new:
            print(TOLD)


def _in_a_notebook():
    shell = sys.modules.get("IPython")
    return shell is not None and shell.get_ipython() is not None


def read(path):
    """{exercise: {"tries", "right", "mistakes": {sentence: count}}} of a file.

    Raises ValueError with what is wrong, OSError if it cannot be read.
    """
    path = Path(path)
    if path.stat().st_size > LARGEST:
        raise ValueError(f"larger than {LARGEST:,} bytes, so no tally of the checks")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise ValueError
        return {str(name): _checked(**counts) for name, counts in found["exercises"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("no tally of the checks, or a broken one") from None


def _checked(tries, right, mistakes):
    for count in (tries, right, *mistakes.values()):
        if type(count) is not int or not 0 <= count <= MOST:
            raise ValueError
    return {"tries": tries, "right": right, "mistakes": dict(mistakes)}


# ---- a class ----


def of_class(folder, known):
    """What the files below a folder, or one file, say together: (rows, number of files, [why another cannot be used]).

    known: {exercise: its mistakes}; what another version of the checks said counts as OTHER.  A row is a dict of an
    exercise: "exercise", "students" who tried it, "right": those who got there, "tries", and "mistakes":
    [(sentence, students who met it, times)], the most frequent first.
    """
    students, set_aside = [], []
    folder = Path(folder)
    for path in [folder] if folder.is_file() else sorted(folder.rglob(f"*{Path(FILE).stem}*.json")):
        try:
            students.append(read(path))
        except (OSError, ValueError) as error:
            set_aside.append(f"{path}: {getattr(error, 'strerror', None) or error}")
    rows = [_row(name, [one[name] for one in students if name in one], mistakes) for name, mistakes in known.items()]
    return [row for row in rows if row["students"]], len(students), set_aside


def _row(name, counts, known):
    met, times = Counter(), Counter()
    for one in counts:
        mine = Counter()
        for told, count in one["mistakes"].items():
            mine[told if told in known else OTHER] += count
        times += mine
        met.update(told for told, count in mine.items() if count)
    order = sorted(met, key=lambda told: (told == OTHER, -met[told], -times[told], told))
    return {
        "exercise": name,
        "students": len(counts),
        "right": sum(one["right"] > 0 for one in counts),
        "tries": sum(one["tries"] for one in counts),
        "mistakes": [(told, met[told], times[told]) for told in order],
    }


def table(rows):
    """The rows of `of_class` as text."""
    lines = ["students  times  what the check said"]
    for row in rows:
        tried = f"{row['students']} tried it, {row['right']} got it right, {row['tries']} tries in all"
        lines += ["", f"{row['exercise']}: {tried}"]
        lines += [f"{students:8}  {times:5}  {told}" for told, students, times in row["mistakes"]]
    return "\n".join(lines)

"""The file of answers: its tables, how it is opened, and its rows for statistics."""

import sqlite3
from contextlib import closing
from pathlib import Path

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE raters (id TEXT PRIMARY KEY, token_hash TEXT NOT NULL UNIQUE, method TEXT NOT NULL,
    form TEXT NOT NULL, created REAL NOT NULL, consented INTEGER NOT NULL, seen REAL NOT NULL) STRICT;
CREATE TABLE trials (rater TEXT NOT NULL REFERENCES raters, number INTEGER NOT NULL, practice INTEGER NOT NULL,
    catch INTEGER NOT NULL, photograph INTEGER NOT NULL, fake_first INTEGER NOT NULL,
    first TEXT NOT NULL UNIQUE, second TEXT NOT NULL UNIQUE, first_sent REAL, second_sent REAL,
    PRIMARY KEY (rater, number)) STRICT;
CREATE TABLE answers (rater TEXT NOT NULL, number INTEGER NOT NULL, choice INTEGER NOT NULL,
    fooled INTEGER NOT NULL, first_ms REAL NOT NULL, second_ms REAL NOT NULL, reaction_ms REAL NOT NULL,
    reshown INTEGER NOT NULL, answered REAL NOT NULL, PRIMARY KEY (rater, number),
    FOREIGN KEY (rater, number) REFERENCES trials) STRICT;
"""


class StoreError(Exception):
    """A store that cannot be used, and why."""


def read_rows(path, study):
    """Every answer in a store file, oldest rater first, without changing the file; a list of dicts.

    kind, rater, method, form, number (1-based), practice, catch, photograph (name), fake_first, choice (0
    first, 1 second), fooled, first_ms, second_ms, reaction_ms, reshown, answered (Unix seconds), planned
    (pairs of this rater after practice).  Raises StoreError if there is no store.
    """
    if not Path(path).is_file():
        raise StoreError(f"no answers yet: {path} is not there; collect some with `python -m repro study serve`")
    db = connect(path)
    try:
        if read_meta(db).get("fingerprint") != study.fingerprint:
            raise StoreError(f"{path} holds answers to another study than {study.folder}")
        return select_rows(db, study)
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path}: not a study's answers, or broken ({error})") from None
    finally:
        db.close()


def connect(path, synchronous="FULL"):
    """An SQLite connection in WAL mode.

    synchronous: FULL, a commit is on disk when it returns; NORMAL, it outlives the process but perhaps not a
    power cut; OFF, for what can be made again.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    try:
        _require_ours(Path(path))
        db = sqlite3.connect(path, timeout=20, isolation_level=None, check_same_thread=False)
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA synchronous={synchronous}")
        db.execute("PRAGMA foreign_keys=ON")
    except sqlite3.Error as error:
        raise StoreError(f"{path}: cannot be opened as a study's answers ({error})") from None
    return db


def _require_ours(path):
    """Raises StoreError for a database of another program, before anything in it is changed."""
    if not path.exists() or not path.stat().st_size:
        return
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and "meta" not in tables:
            raise StoreError(f"{path}: not a study's answers (a database of another program) and is left alone")


def read_meta(db):
    """What a store was stamped with: {'kind', 'fingerprint', 'seed'}, all text."""
    return {row["key"]: row["value"] for row in db.execute("SELECT key, value FROM meta")}


def select_rows(db, study):
    """The rows of `read_rows` from an open connection."""
    query = (
        "SELECT (SELECT value FROM meta WHERE key = 'kind') AS kind, answers.rater, method, form, number, "
        "practice, catch, photograph, fake_first, choice, fooled, first_ms, second_ms, reaction_ms, reshown, "
        "answered FROM answers JOIN trials USING (rater, number) JOIN raters ON raters.id = rater "
        "ORDER BY raters.rowid, number"
    )
    return [
        {**row, "photograph": study.photographs[row["photograph"]].name, "planned": study.pairs}
        for row in map(dict, db.execute(query))
    ]

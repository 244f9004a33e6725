"""Raters, their trials and their answers in one SQLite file.

An acknowledged answer is on disk (WAL, synchronous=FULL).  A rater's whole plan is drawn and stored at
joining, so a server that was killed continues everyone where they were.  A store is stamped 'human' or
'simulated', and with its study's fingerprint, when it is made, and never opens as anything else.
No address, browser name or anything else that could name a person is kept.
"""

import hashlib
import math
import secrets
import sqlite3
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from repro import paths
from repro.study.database import SCHEMA, StoreError, connect, read_meta, select_rows
from repro.study.plan import draw_plan, least_used

KINDS = ("human", "simulated")
FORMS = ("phone", "tablet", "desktop")
ACTIVE_S = 1800  # a rater who has not finished counts in the balance for so long after the last answer
LONGEST_MS = 86_400_000  # a day: what a browser reports beyond it is no measurement


class Refused(Exception):
    """A request that is not taken.  reason: stranger, foreign, invalid, conflict, early or closed."""

    def __init__(self, reason, message):
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Answer:
    """What a rater's page reports.  choice: the address of the picture named as the fake.

    shown_ms: how long each of the two was on screen; reaction_ms: from the question to the answer; reshown:
    how often the pair had to be shown again.
    """

    number: int
    choice: str
    shown_ms: tuple
    reaction_ms: float
    reshown: int = 0


def human_store_path(study):
    """Where people's answers lie: data/study/<fingerprint>.sqlite, which no run of the pipeline deletes."""
    return answers_place(study.fingerprint)


def answers_place(fingerprint):
    """The same, of a study's fingerprint."""
    return paths.DATA / "study" / f"{fingerprint}.sqlite"


def simulated_store_path(study):
    """Where simulated answers lie: in the study's folder, as they can be made again."""
    return study.folder / "simulated.sqlite"


class Store:
    """The answers to one study; made if the file is missing.  Safe for threads and for several processes.

    kind: 'human' or 'simulated'.  seed: of the raters' plans (None: drawn once and kept in the file).
    clock: seconds.  Raises StoreError for a file of another kind or study, or that is no store.
    """

    def __init__(self, path, study, kind, seed=None, clock=time.time):
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}, got {kind!r}")
        self.path, self.study, self.kind, self.clock = Path(path), study, kind, clock
        self._lock = threading.RLock()
        self._db = connect(self.path, "FULL" if kind == "human" else "OFF")
        self._marks = connect(self.path, "NORMAL" if kind == "human" else "OFF")  # when pictures were sent
        try:
            self._stamp(secrets.randbits(62) if seed is None else seed)
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self.path}: not a study's answers, or broken ({error})") from None

    def close(self):
        """Close the file; the store cannot be used afterwards."""
        with self._lock:
            self._marks.close()
            self._db.close()

    def join(self, form="desktop", most=None):
        """A new rater's token; the whole plan is drawn, for the method with the fewest raters.

        form: phone, tablet or desktop.  most: Refused('closed') when so many have joined.
        """
        token, now = secrets.token_urlsafe(24), self.clock()
        with self._transaction() as db:
            count = db.execute("SELECT COUNT(*) FROM raters").fetchone()[0]
            if most is not None and count >= most:
                raise Refused("closed", f"this study is closed: all {most} places are taken. Thank you!")
            counts = self._active(db, now)
            plan = draw_plan(self.study, int(read_meta(db)["seed"]), count, least_used(counts))
            form = form if form in FORMS else "desktop"
            db.execute(
                "INSERT INTO raters VALUES (?, ?, ?, ?, ?, 1, ?)",
                (plan.rater, _hash(token), plan.method, form, now, now),
            )
            db.executemany(
                "INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
                [(plan.rater, *trial, secrets.token_hex(16), secrets.token_hex(16)) for trial in plan.trials],
            )
        return token

    def state(self, token):
        """Where a rater stands: a dict for the page, which tells nothing about the pictures.

        finished; number (1-based, practice included), practice, position and of (within practice or the main
        block), pictures (two addresses), ahead (the next trial's two, to be loaded early); when finished
        right and of instead.
        """
        with self._lock:
            return self._state(self._rater(token))

    def picture(self, token, address):
        """The file id of a picture of the rater's own current or next trial.

        Raises Refused: 'stranger' for an unknown token, 'foreign' for any other picture.
        """
        with self._lock:
            rater = self._rater(token)
            current = self._answered(rater) + 1
            for trial in (self._trial(rater, current), self._trial(rater, current + 1)):
                if trial and address in (trial["first"], trial["second"]):
                    self._sent(trial, address)
                    return self._file(rater, trial, address == trial["first"])
        raise Refused("foreign", "this picture does not belong to your current pair; reload the page")

    def answer(self, token, answer):
        """Keep an answer.  Returns the right choice (0 first, 1 second) after a practice pair, else None.

        The same answer again is acknowledged and not counted twice.  Raises Refused: 'invalid' for a choice
        that was not shown or a measurement that cannot be, 'conflict' for another answer to an answered pair
        or a pair out of order, 'early' before both pictures can have been seen.
        """
        with self._transaction() as db:
            rater = self._rater(token)
            trial, current = self._trial(rater, answer.number), self._answered(rater) + 1
            if not trial or answer.number > current:
                raise Refused("conflict", f"pair {answer.number} is not open; pair {current} comes next")
            if answer.choice not in (trial["first"], trial["second"]):
                raise Refused("invalid", "the choice must be one of the two pictures of this pair")
            choice = int(answer.choice == trial["second"])
            kept = self._kept(rater, answer.number)
            if kept is not None and kept["choice"] != choice:
                raise Refused("conflict", f"pair {answer.number} was answered otherwise; it cannot be changed")
            if kept is None:
                self._keep(db, rater, trial, choice, answer)
        return int(not trial["fake_first"]) if trial["practice"] else None

    def rows(self):
        """Every answer with its trial, as a list of dicts; see `database.read_rows`."""
        with self._lock:
            return select_rows(self._db, self.study)

    # ---- inside ----

    @contextmanager
    def _transaction(self):
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _stamp(self, seed):
        with self._transaction() as db:
            if not db.execute("SELECT name FROM sqlite_master").fetchall():
                for statement in SCHEMA.split(";"):
                    db.execute(statement)
                stamps = {"kind": self.kind, "fingerprint": self.study.fingerprint, "seed": str(seed)}
                db.executemany("INSERT INTO meta VALUES (?, ?)", stamps.items())
            meta = read_meta(db)
        if meta["kind"] != self.kind:
            raise StoreError(
                f"{self.path} holds {meta['kind']} answers and cannot be opened for {self.kind} ones: name another file"
            )
        if meta["fingerprint"] != self.study.fingerprint:
            raise StoreError(
                f"{self.path} holds answers to another study ({meta['fingerprint']}, here {self.study.fingerprint}): "
                "name another file"
            )

    def _active(self, db, now):
        """{method: raters that finished or may still}."""
        query = (
            "SELECT method, COUNT(*) FROM raters WHERE seen > ? OR "
            "(SELECT COUNT(*) FROM answers WHERE rater = id) = ? GROUP BY method"
        )
        counted = dict(tuple(row) for row in db.execute(query, (now - ACTIVE_S, self.study.trials)))
        return {method: counted.get(method, 0) for method in self.study.methods}

    def _rater(self, token):
        row = self._db.execute("SELECT id, method FROM raters WHERE token_hash = ?", (_hash(token),)).fetchone()
        if row is None:
            raise Refused("stranger", "this study does not know you; reload the page to take part")
        return row

    def _answered(self, rater):
        return self._db.execute("SELECT COUNT(*) FROM answers WHERE rater = ?", (rater["id"],)).fetchone()[0]

    def _trial(self, rater, number):
        query = "SELECT * FROM trials WHERE rater = ? AND number = ?"
        return self._db.execute(query, (rater["id"], number)).fetchone()

    def _kept(self, rater, number):
        query = "SELECT * FROM answers WHERE rater = ? AND number = ?"
        return self._db.execute(query, (rater["id"], number)).fetchone()

    def _state(self, rater):
        number, study = self._answered(rater) + 1, self.study
        if number > study.trials:
            query = (
                "SELECT COUNT(*) FROM answers JOIN trials USING (rater, number) "
                "WHERE rater = ? AND NOT practice AND NOT fooled"
            )
            right = self._db.execute(query, (rater["id"],)).fetchone()[0]
            return {"finished": True, "right": right, "of": study.pairs}
        trial, ahead = self._trial(rater, number), self._trial(rater, number + 1)
        practice = bool(trial["practice"])
        return {
            "finished": False,
            "number": number,
            "practice": practice,
            "position": number if practice else number - study.practice,
            "of": study.practice if practice else study.pairs,
            "pictures": [trial["first"], trial["second"]],
            "ahead": [ahead["first"], ahead["second"]] if ahead else [],
        }

    def _sent(self, trial, address):
        column = "first_sent" if address == trial["first"] else "second_sent"
        if trial[column] is None:
            self._marks.execute(
                f"UPDATE trials SET {column} = ? WHERE rater = ? AND number = ?",
                (self.clock(), trial["rater"], trial["number"]),
            )

    def _file(self, rater, trial, first):
        photo = self.study.photographs[trial["photograph"]]
        if first != bool(trial["fake_first"]):
            return photo.truth
        return photo.random if trial["catch"] else photo.methods[rater["method"]]

    def _keep(self, db, rater, trial, choice, answer):
        now = self.clock()
        measured = (*answer.shown_ms, answer.reaction_ms)
        if not all(math.isfinite(value) and 0 <= value <= LONGEST_MS for value in measured):
            raise Refused("invalid", "times must be milliseconds from 0 to a day")
        if not 0 <= answer.reshown <= 1000:
            raise Refused("invalid", "reshown must be 0..1000")
        self._check_time(rater, trial, now)
        fooled = choice != int(not trial["fake_first"])
        row = (rater["id"], trial["number"], choice, fooled, *measured, answer.reshown, now)
        db.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        db.execute("UPDATE raters SET seen = ? WHERE id = ?", (now, rater["id"]))

    def _check_time(self, rater, trial, now):
        if trial["first_sent"] is None or trial["second_sent"] is None:
            raise Refused("early", "both pictures must be seen before the answer")
        before = self._kept(rater, trial["number"] - 1)
        since = max(trial["first_sent"], trial["second_sent"], before["answered"] if before else 0)
        if now - since < 1.8 * self.study.display_ms / 1000:  # both pictures, less a tenth for slow clocks
            raise Refused("early", "this answer came before both pictures can have been seen")


def _hash(token):
    return hashlib.sha256(str(token).encode("utf-8", "replace")).hexdigest()

"""A tree of photographs, of any number, as WebDataset shards: tar files to be streamed by `stream.py`.

<out>/train-000000.tar   records <key>.jpg, <key>.cls (label as text), <key>.txt (name in the tree)
<out>/train-000000.json  while writing: vouches for the finished shard of that name
<out>/manifest.json      written last: every shard's count, bytes and sha256, the classes, what was left out

Photographs are dealt to shards in a fixed random order, so each shard is a fair sample of its split, and the same
photographs and settings give the same bytes.  What was interrupted goes on with the shards that are missing.
"""

import hashlib
import json
import os
import time
from collections import Counter
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, fields
from pathlib import Path

from repro.datasets.folder import SPLITS, FolderSource, SourceError, unit_hash
from repro.datasets.manifest import MANIFEST, VERSION, Shard
from repro.datasets.shard import Task, is_shard, write_shard
from repro.files import write_atomically
from repro.workers import open_pool

# ---- the command ----


def write_shards(
    folder,
    out,
    short_side=256,
    per_shard=1000,
    held_out=10000,
    quality=90,
    workers=None,
    find_duplicates=True,
):
    """Write a folder's three splits as shards; returns the manifest, a dict.

    folder, held_out, find_duplicates: as in FolderSource.  short_side: pixels; the aspect is kept, up to 1:4.
    quality: of the JPEGs, which keep colour at full resolution.  workers: processes (default: all cores).
    Grayscale and broken photographs are left out; the manifest names them.
    Raises SourceError, in one line, when `out` cannot be written or holds another plan, when there are no
    photographs, or when a worker dies; finished shards are kept, and the same call goes on with the others.
    """
    if min(short_side, per_shard, held_out, quality) < 1 or quality > 100 or (workers or 1) < 1:
        raise ValueError("--short-side, --per-shard, --held-out, --quality (up to 100) and --workers start at 1")
    out = Path(out).expanduser()
    if out.resolve() == Path(folder).expanduser().resolve():
        raise SourceError(f"{out} holds the photographs; choose another folder for the shards")
    try:
        out.mkdir(parents=True, exist_ok=True)
        source = FolderSource(folder, find_duplicates, held_out)
        tasks = _tasks(source, out, short_side, per_shard, quality)
        plan = _plan(source, tasks, short_side, per_shard, quality)
        return _write_plan(out, source, tasks, plan, workers or os.cpu_count() or 1)
    except OSError as error:
        raise SourceError(
            f"cannot write to {out}: {error.strerror or error}; what is finished is kept: mend this and give "
            "the same command again"
        ) from error


def _write_plan(out, source, tasks, plan, workers):
    """Write what is missing of a plan, and the manifest, which is returned."""
    manifest, done = _what_is_there(out, plan)
    missing = [task for task in tasks if task.name not in done]
    if missing or manifest is None:
        for leftover in (path for name in (MANIFEST, *SPLITS) for path in out.glob(f".{name}*.part")):
            leftover.unlink()
        _write_missing(missing, done, plan, len(tasks), workers)
        manifest = _manifest(source, tasks, done, plan)
        write_atomically(out / MANIFEST, json.dumps(manifest, indent=1).encode())
        _print_summary(out, manifest)
    else:
        print(f"{out}: all {len(tasks)} shards are there; nothing to do")
    for task in tasks:
        (out / f"{task.name}.json").unlink(missing_ok=True)
    return manifest


# ---- the plan ----


def _tasks(source, out, short_side, per_shard, quality):
    tasks = []
    for split in SPLITS:
        items = sorted(source.items(split), key=lambda item: (unit_hash(f"shards {item.name}"), item.name))
        for number, first in enumerate(range(0, len(items), per_shard)):
            part, name = tuple(items[first : first + per_shard]), f"{split}-{number:06d}"
            tasks.append(Task(name, split, source.root, out, first, part, short_side, quality))
    return tasks


def _plan(source, tasks, short_side, per_shard, quality):
    """What two runs must have in common to be one: a dict of short values."""
    names, counts = hashlib.sha256(repr(source.classes).encode()), Counter()
    for task in tasks:
        counts[task.split] += len(task.items)
        for item in task.items:
            names.update(f"{task.name}\0{item.label}\0{item.name}\0".encode("utf-8", "surrogateescape"))
    counted = {f"{split} photographs": counts[split] for split in SPLITS}
    sizes = {"short side": short_side, "photographs a shard": per_shard, "quality": quality}
    return {**sizes, **counted, "hash of their names": names.hexdigest()[:16]}


def _what_is_there(out, plan):
    """(manifest or None, {shard name: its entry} of the finished shards).

    Raises SourceError for another plan. A manifest or a sidecar that is broken counts as not there.
    """
    _require_ours(out)
    manifest = _read_json(out / MANIFEST)
    if manifest:
        _require_same(plan, manifest["plan"], out)
    entries = _entries_of(manifest)
    for path in (path for split in SPLITS for path in out.glob(f"{split}-{'[0-9]' * 6}.json")):
        entry = _read_json(path)
        if entry:
            _require_same(plan, entry["plan"], out)
            entries |= _entries_of({"splits": {"": {"shards": [entry]}}, "left_out": entry.get("left_out")})
    whole = {
        name: entry
        for name, entry in entries.items()
        if (out / f"{name}.tar").is_file() and (out / f"{name}.tar").stat().st_size == entry["bytes"]
    }
    return manifest if entries else None, whole


def _require_ours(out):
    """Raises SourceError where a file has a name that shards need, and is none: it would be replaced."""
    told = "is there already, and not as this command writes it; choose another folder"
    sidecars = [path for split in SPLITS for path in out.glob(f"{split}-{'[0-9]' * 6}.json")]
    for path in (out / MANIFEST, *sidecars):
        try:
            found = json.loads(path.read_bytes()) if path.exists() else {}
        except (ValueError, RecursionError):
            continue  # one of ours that was cut off
        if found and not (isinstance(found, dict) and "plan" in found):
            raise SourceError(f"{path} {told}")
    if not sidecars and not (out / MANIFEST).exists():  # killed before the first one, or somebody else's
        for path in (path for split in SPLITS for path in out.glob(f"{split}-{'[0-9]' * 6}.tar")):
            if not is_shard(path):
                raise SourceError(f"{path} {told}")


def _entries_of(manifest):
    """{shard name: its entry} of a manifest; those left out are named by the first, until it is written anew."""
    try:
        shards = [
            asdict(Shard(**{field.name: shard[field.name] for field in fields(Shard)}))
            for split in manifest["splits"].values()
            for shard in split["shards"]
        ]
        left_out = [{"name": str(photo["name"]), "reason": str(photo["reason"])} for photo in manifest["left_out"]]
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}
    return {
        Path(shard["name"]).stem: shard | {"left_out": [] if number else left_out}
        for number, shard in enumerate(shards)
    }


def _read_json(path):
    """A manifest or sidecar; None where there is none of ours."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("plan"), dict) else None


def _require_same(plan, old, out):
    differs = [f"{key} {old.get(key)} there, {plan[key]} now" for key in plan if old.get(key) != plan[key]]
    if differs:
        raise SourceError(
            f"{out} holds shards of another plan ({'; '.join(differs)}); choose another --out, or empty that one"
        )


def _manifest(source, tasks, done, plan):
    """The whole that is written last.  done: {shard name: entry}."""
    splits, left_out = {split: [] for split in SPLITS}, {}
    for task in tasks:
        entry = done[task.name]
        splits[task.split].append({key: entry[key] for key in ("name", "count", "bytes", "sha256")})
        left_out |= {photo["name"]: photo for photo in entry["left_out"]}
    return {
        "format": "repro shards",
        "version": VERSION,
        "short_side": plan["short side"],
        "quality": plan["quality"],
        "classes": list(source.classes),
        "splits": {
            split: {"count": sum(shard["count"] for shard in shards), "shards": shards}
            for split, shards in splits.items()
        },
        "left_out": sorted(left_out.values(), key=lambda photo: photo["name"]),
        "plan": plan,
    }


# ---- many shards ----


def _write_missing(missing, done, plan, total, workers):
    """Write shards, by processes where there are several; fills `done` and prints a line for each."""
    began, seen, left_out = time.monotonic(), 0, 0
    for number, (task, entry) in enumerate(_written(missing, plan, workers), 1):
        done[task.name] = entry
        seen += len(task.items)
        left_out += len(entry["left_out"])
        elapsed = time.monotonic() - began
        print(
            f"[{total - len(missing) + number}/{total}] {entry['name']}: {entry['count']} photographs; "
            f"{seen / elapsed:.0f} a second, {left_out} left out, "
            f"{_duration(elapsed / number * (len(missing) - number))} left",
            flush=True,
        )


def _written(tasks, plan, workers):
    """(task, entry) of each shard, as it is finished."""
    if workers == 1 or len(tasks) < 2:
        yield from ((task, write_shard(task, plan)) for task in tasks)
        return
    pool = open_pool(min(workers, len(tasks)))
    try:
        futures = {pool.submit(write_shard, task, plan): task for task in tasks}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise SourceError(
            "a worker process was killed, perhaps for want of memory; finished shards are kept: give the "
            "same command again, with fewer --workers if it happens again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)  # those in hand are finished first


def _duration(seconds):
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def _print_summary(out, manifest):
    counts = ", ".join(f"{split} {manifest['splits'][split]['count']}" for split in SPLITS)
    print(f"{out}: {counts} photographs, {len(manifest['left_out'])} left out (named in {MANIFEST})")
    reasons = Counter(photo["reason"] for photo in manifest["left_out"])
    for reason, count in reasons.most_common(5):
        print(f"  {count}: {reason}")

"""How things are measured: best of several interleaved rounds for time, a process of its own for memory."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass

from repro.paths import ROOT

READINGS = {  # what the ratio of ours and the peer's says
    "speedup": lambda ours, peer: f"{peer / ours:.1f} x faster",
    "overhead": lambda ours, peer: f"{100 * (ours / peer - 1):+.0f} %",
    "share": lambda ours, peer: f"{100 * peer / ours:.0f} % of its rate",
    "smaller": lambda ours, peer: f"{peer / ours:.1f} x smaller",
    "plain": lambda ours, peer: f"{ours / peer:.2f} x",
}
UNITS = {"s": lambda value: f"{1000 * value:,.1f} ms", "bytes": lambda value: f"{value / 2**20:,.1f} MiB"}


@dataclass(frozen=True)
class Figure:
    """One line of the table: ours beside its peer.

    ours, peer: seconds or bytes, by `unit`.  reading: what their ratio is called, a key of READINGS.  goal:
    in words, or "".
    notes: {name: number} of anything else that was measured, as errors.
    """

    name: str
    peer_name: str
    ours: float
    peer: float
    unit: str = "s"
    reading: str = "speedup"
    goal: str = ""
    notes: dict | None = None

    def ratio(self):
        return READINGS[self.reading](self.ours, self.peer)

    def line(self):
        return (
            self.name,
            UNITS[self.unit](self.ours),
            self.peer_name,
            UNITS[self.unit](self.peer),
            self.ratio(),
            self.goal,
        )

    def record(self):
        """As a dict for JSON: the raw values, and `ratio` = ours / peer."""
        return {**vars(self), "ratio": self.ours / self.peer, "says": self.ratio()}


def best_seconds(candidates, rounds=7):
    """{name: seconds} of {name: function}: every round times each once, in turn, and the best round counts.

    Interleaved, so that whatever else the machine does falls on all of them; one untimed call of each comes first.
    """
    best = {}
    for function in candidates.values():
        function()
    for _ in range(rounds):
        for name, function in candidates.items():
            start = time.perf_counter()
            function()
            seconds = time.perf_counter() - start
            best[name] = min(best.get(name, seconds), seconds)
    return best


def peak_growth(function, *arguments):
    """By how many bytes a function raises a fresh process's peak of resident memory.

    function: "module:name"; called there with `arguments` (anything JSON holds), it returns a function of no
    arguments: what is measured.
    """
    command = [sys.executable, "-m", "benchmarks.measure", function, json.dumps(arguments)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if finished.returncode:
        raise RuntimeError(f"{function}{arguments} failed in its own process:\n{finished.stderr}")
    return int(finished.stdout.split()[-1])


def _resident():
    """(now, peak) in bytes: from /proc where there is one, else the peak twice, from getrusage."""
    try:
        with open("/proc/self/status") as file:
            fields = dict(line.split(":", 1) for line in file)
        return tuple(int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
        return peak, peak


def _forget_peak():
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def _main(function, arguments):
    import importlib

    module, name = function.split(":")
    work = getattr(importlib.import_module(module), name)(*json.loads(arguments))
    _forget_peak()
    before, _ = _resident()
    work()
    print(_resident()[1] - before)


if __name__ == "__main__":
    _main(*sys.argv[1:])

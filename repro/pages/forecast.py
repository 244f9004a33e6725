"""How long the pipeline will take on this machine: what the recorded run took, scaled by how fast this one trains."""

import re
import time
from dataclasses import dataclass, field, replace

import yaml

from repro import paths

UNTIMED = 2.0  # seconds of a stage that was never timed: cleaning a page, listing photographs
TELLING = 20.0  # seconds of recorded stages, before this run's own pace corrects the forecast


def stage_names():
    """{stage of dvc.yaml: the page that it runs, "04_training_rebalanced", or None}, in the order of the file."""
    content = yaml.safe_load((paths.ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    values = yaml.safe_load((paths.ROOT / "params.yaml").read_text(encoding="utf-8"))
    lists = {"${pages}": content["vars"][0]["pages"], "${models.objectives}": values["models"]["objectives"]}
    found = {}
    for name, stage in content["stages"].items():
        items = lists[stage["foreach"]] if "foreach" in stage else [None]
        page = re.search(r"repro page (\w+)", str(stage.get("do", stage)["cmd"]))
        for item in items:
            one = page and page[1] + (f"_{item}" if item else "")
            found[f"{name}@{item}" if item else name] = one
    return found


def recorded_seconds(record):
    """{stage: seconds} that the recorded run took, of the stages that it timed."""
    pages, stages = record.get("page_minutes", {}), record.get("stage_seconds", {})
    names = stage_names()
    known = {name: 60 * pages[page] for name, page in names.items() if page in pages}
    return known | {name: seconds for name, seconds in stages.items() if name in names}


def recorded_rate(record):
    """Photographs a second of the recorded run's trainings, their mean; None where there were none."""
    rates = [found["photos_per_second"] for found in record.get("training", {}).values()]
    return sum(rates) / len(rates) if rates else None


def training_rate(seconds=3.0):
    """Photographs a second that this machine trains, by the recipe of conf/size/classroom.yaml, on painted scenes."""
    from tempfile import TemporaryDirectory

    from repro.bins import ab_bins
    from repro.datasets.world import WorldSource
    from repro.objectives import Objective
    from repro.settings import read
    from repro.training.loop import Run
    from repro.training.processes import open_fabric
    from repro.training.settings import settings_of

    recipe = settings_of(read(paths.ROOT / "conf/size/classroom.yaml"), "classification")
    recipe = replace(recipe, initialization="gaussian")  # another start does not change the pace
    photos, _ = WorldSource().bulk("train", recipe.crop, 2 * recipe.batch)
    goal = Objective("classification", ab_bins())
    with TemporaryDirectory() as folder:
        run = Run(photos, photos[:8], recipe, goal, paths.Path(folder), lambda line: None, 1, open_fabric())
        for step in range(3):  # the first ones make ready what the others use
            float(run.step(step, recipe.crop))
        count, began = 0, time.perf_counter()
        while not count or time.perf_counter() - began < seconds:
            float(run.step(3 + count, recipe.crop))
            count += 1
        return count * recipe.batch / (time.perf_counter() - began)


def same_recipe():
    """Whether params.yaml trains and measures what conf/size/classroom.yaml does, which the record is of."""
    ours, theirs = (
        yaml.safe_load((paths.ROOT / name).read_text(encoding="utf-8"))
        for name in ("params.yaml", "conf/size/classroom.yaml")
    )
    return all(ours.get(section) == theirs[section] for section in theirs)


@dataclass
class Forecast:
    """What is left of a run of the pipeline.

    expected: {stage: seconds} on this machine, of the timed stages that have not ended yet.  untimed: names of the
    others, which count for little and never change the pace.  took: {stage: seconds}.
    """

    expected: dict
    untimed: set = field(default_factory=set)
    took: dict = field(default_factory=dict)
    spent: float = 0.0
    planned: float = 0.0
    running: str | None = None
    began: float = 0.0

    def start(self, stage, now):
        """A stage starts, so the one before it has ended: returns (that stage, its seconds), or None."""
        ended = self.end(now)
        self.running, self.began = stage, now
        return ended

    def skip(self, stage, now):
        """A stage has nothing to do; returns as `start`."""
        ended = self.end(now)
        self.expected.pop(stage, None)
        self.untimed.discard(stage)
        return ended

    def end(self, now):
        """The stage that runs, if one does, has ended; returns as `start`."""
        if self.running is None:
            return None
        stage, self.running = self.running, None
        self.took[stage] = now - self.began
        if stage in self.expected:
            self.spent, self.planned = self.spent + self.took[stage], self.planned + self.expected.pop(stage)
        self.untimed.discard(stage)
        return stage, self.took[stage]

    @property
    def pace(self):
        """Seconds that timed stages took for each second that was expected."""
        return self.spent / self.planned if self.planned > TELLING else 1.0

    @property
    def left(self):
        """Seconds of the stages that are still to come."""
        return self.pace * sum(self.expected.values()) + UNTIMED * len(self.untimed)


def in_words(seconds):
    """A time that people plan with: "40 seconds", "3 minutes", "1 h 20 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds / 10)) * 10:.0f} seconds"
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds // 3600:.0f} h {seconds % 3600 / 60:.0f} min"

"""python -m repro run: the whole pipeline by DVC, with how long it will take and whether it reproduced the record."""

import json
import os
import re
import shutil
import subprocess
import time

from repro import paths
from repro.commands import fail, say

STAGES = paths.OUTPUTS / "stage_seconds.json"  # what each stage took here, for `python -m repro record`


def add(commands):
    """Add the command to the parser of python -m repro."""
    command = commands.add_parser(
        "run", help="run the pipeline (dvc repro), say how long it will take and compare with the recorded run"
    )
    command.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="for dvc repro; after -- if it is an option")
    command.set_defaults(run=run)


def run(options):
    """Run `dvc repro`; returns its exit code."""
    if not shutil.which("dvc"):
        return fail("dvc is not found: activate the environment (source .venv/bin/activate), or use make repro")
    command = ["dvc", "repro", *options.arguments]
    forecast = foretold(command)
    code = followed(command, forecast)
    if code == 0:
        for line in did_it_reproduce().splitlines():
            say(line)
    return code


def foretold(command):
    """A Forecast of the stages to come, told; None where nothing is known, as without a recorded run."""
    from repro.pages import forecast
    from repro.pages.evidence import read_result

    rehearsed = subprocess.run([*command, "--dry"], capture_output=True, text=True)
    # a rehearsal stops where a file is still to be made, so then all of it may run
    waiting = set(re.findall(r"Running stage '(.+?)'", rehearsed.stdout)) - {"photographs"}
    record = read_result("classroom")
    there = forecast.recorded_rate(record)
    if (rehearsed.returncode == 0 and not waiting) or not there:
        return None
    here = forecast.training_rate()
    expected = {stage: seconds * there / here for stage, seconds in forecast.recorded_seconds(record).items()}
    found = forecast.Forecast(expected, set(forecast.stage_names()) - set(expected))
    pace = f"This machine trains {here:.0f} photographs a second, the one of the recorded run trained {there:.0f}."
    rest = "; what has not changed is skipped" if rehearsed.returncode == 0 else ""
    say(f"{pace} All stages together will take about {forecast.in_words(found.left)}{rest}.")
    if not forecast.same_recipe():
        say("That is for the recorded run's settings. Yours are others, so it may be far off.")
    return found


def followed(command, forecast):
    """Run a command, hand on what it prints, and after each stage say what is left; returns its exit code."""
    from repro.pages.forecast import in_words

    at_once = os.environ | {"PYTHONUNBUFFERED": "1"}  # else a line would come when many have gathered
    pipe = {"stdout": subprocess.PIPE, "text": True, "errors": "replace"}
    with subprocess.Popen(command, env=at_once, **pipe) as process:
        for line in process.stdout:
            met = re.match(r"(Running stage|Stage) '(.+?)'", line)
            ended = None
            if forecast and met:
                act = forecast.start if met[1] == "Running stage" else forecast.skip
                ended = act(met[2], time.monotonic())
            if ended and not ended[0].startswith("clean@"):
                say(f"-- {ended[0]}: {ended[1]:.0f} s. About {in_words(forecast.left)} left.")
            print(line, end="", flush=True)
        code = process.wait()
    if forecast:
        forecast.end(time.monotonic())
        keep(forecast.took)
    return code


def keep(took):
    """Add what the stages took to what is known of earlier ones."""
    from repro.files import write_atomically
    from repro.pages.records import as_json

    try:
        known = json.loads(STAGES.read_text())
    except (OSError, ValueError):  # none yet, or a broken one, which is written anew
        known = {}
    if took and STAGES.parent.is_dir():
        write_atomically(STAGES, as_json(known | took))


def did_it_reproduce():
    """Each recorded figure beside this run's, and the answer."""
    from repro.pages import reproduced
    from repro.pages.evidence import read_result

    file = paths.OUTPUTS / "metrics/12_results.json"
    if not file.exists():
        return "Page 12 has not run, so nothing can be compared with the recorded run."
    try:
        recorded, here = read_result("classroom"), json.loads(file.read_text())
    except ValueError:
        return f"{file} is broken, so nothing can be compared with the recorded run; delete it and run this again."
    compared = reproduced.compare(recorded, here, reproduced.spread_over_runs())
    table = [reproduced.in_text(compared), ""] if compared else []
    return "\n".join([*table, reproduced.answer(compared, recorded, here)])

"""python -m repro train: one objective from the command line, as page 04 trains it; under torchrun on many GPUs.

torchrun --nproc-per-node 8 -m repro train --objective rebalanced
"""

import io
import sys
from pathlib import Path
from zipfile import BadZipFile

from repro import paths
from repro.commands import fail

STOPPED = 143  # the exit code of a process that SIGTERM ended; here after ctrl-c, too


def add(commands):
    """Add the command to the parser of python -m repro."""
    command = commands.add_parser(
        "train",
        help="train one objective, on one process or, under torchrun, on many",
        description="Train one objective on the prepared photographs with the settings of params.yaml. The same "
        "command again continues an interrupted run; page 04 of the pipeline takes over a finished one.",
    )
    command.add_argument("--objective", default="rebalanced", help="regression, classification or rebalanced")
    command.add_argument("--params", default="params.yaml", metavar="FILE", help="settings (params.yaml)")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="another value, as train.width=0.5"
    )
    command.add_argument("--data", metavar="DIR", help="prepared photographs (outputs/data)")
    command.add_argument("--prior", metavar="FILE", help="of page 01 (outputs/prior.npz); made if missing")
    command.add_argument(
        "--series", metavar="FILE", help="train the models of this file one after another, each with its changes"
    )
    command.add_argument("--out", metavar="DIR", help="of a series: where NAME.safetensors and NAME.csv are written")
    command.add_argument("--folder", metavar="DIR", help="of the run (runs/<its settings>)")
    command.add_argument("--keep", type=int, default=3, metavar="K", help="so many checkpoints (3)")
    command.add_argument("--accelerator", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    command.set_defaults(run=run_train)


def run_train(options):
    """Train; returns the exit code: 0 when finished, 143 when asked to stop, 1 with a line that says what is wrong."""
    from repro.colorizer.weights import WeightsError
    from repro.datasets.sources import SourceError
    from repro.training.checkpoints import CheckpointError
    from repro.training.loop import TrainingDiverged, TrainingStopped

    try:
        result = _train_series(options) if options.series else _train(options)
    except TrainingStopped as error:
        print(error, file=sys.stderr)
        return STOPPED
    except OSError as error:
        return fail(f"{error.filename}: {error.strerror}" if error.filename else error)
    except (CheckpointError, TrainingDiverged, SourceError, WeightsError, ValueError) as error:
        return fail(error)
    if result is not None:
        print(f"finished: {result.weights}; `dvc repro` goes on from there")
    return 0


def _train(options):
    from repro.bins import ab_bins
    from repro.datasets.sources import load_prepared, to_train_on
    from repro.kinds import expect
    from repro.objectives import Objective
    from repro.prior import rebalancing_weights
    from repro.settings import change, read
    from repro.training.checkpoints import run_name
    from repro.training.loop import train
    from repro.training.processes import open_fabric
    from repro.training.settings import settings_of

    params = read(options.params, dict(map(change, options.set)))
    settings = settings_of(params, options.objective)
    expect(options.keep >= 1, "--keep must be at least 1", options.keep)
    data = Path(options.data or paths.OUTPUTS / "data")
    photos, validation = to_train_on(load_prepared(data, "train")), load_prepared(data, "val").photos
    fabric, bins, class_weights = open_fabric(options.accelerator), ab_bins(), None
    if options.objective == "rebalanced":
        file = Path(options.prior or paths.OUTPUTS / "prior.npz")
        smoothed = smoothed_prior(file, photos, validation.shape[1], bins, params.prior, fabric)
        class_weights = rebalancing_weights(smoothed, settings.uniform_mix)
    objective = Objective(options.objective, bins, class_weights, settings.neighbours, settings.sigma)
    folder = Path(options.folder or paths.RUNS / run_name(settings, photos, objective))
    require_own_weights(folder, settings)
    report = lambda line: print(line, flush=True)
    result = train(
        photos, validation, settings, objective, folder, report,
        checkpoint_every=params.train.checkpoint_every, keep=options.keep, fabric=fabric,
    )  # fmt: skip
    if fabric.global_rank == 0 and not result.weights.exists():
        raise ValueError(f"{folder} has the checkpoints of a finished run, but no weights; delete it to train anew")
    return result if fabric.global_rank == 0 else None


def require_own_weights(folder, settings):
    """Raises ValueError where a run's folder without checkpoints holds weights of something else."""
    from repro.training.checkpoints import checkpoints
    from repro.training.series import are_of

    weights = folder / "best.safetensors"
    if weights.exists() and not checkpoints(folder) and not are_of(weights, settings):
        raise ValueError(f"{weights} is there already and is not of this run; name another --folder")


def _train_series(options):
    from repro.bins import ab_bins
    from repro.datasets.sources import load_prepared, to_train_on
    from repro.kinds import expect
    from repro.settings import change, read
    from repro.training.processes import open_fabric
    from repro.training.series import Common, read_series, train_series

    expect(options.out, "--series needs --out, where its models are written", options.out)
    expect(not options.folder, "--series has a folder for each of its runs; --folder is for one", options.folder)
    expect(options.keep >= 1, "--keep must be at least 1", options.keep)
    models, fabric = read_series(options.series), open_fabric(options.accelerator)
    data = Path(options.data or paths.OUTPUTS / "data")
    photos, validation = to_train_on(load_prepared(data, "train")), load_prepared(data, "val").photos
    file = Path(options.prior or Path(options.out, "prior.npz"))

    def params_of(changes):
        return read(options.params, changes | dict(map(change, options.set)))

    def prior_of(params):
        return smoothed_prior(file, photos, validation.shape[1], ab_bins(), params.prior, fabric)

    report = lambda line: print(line, flush=True)
    common = Common(photos, validation, fabric, params_of, prior_of)
    train_series(models, common, options.out, report)


def smoothed_prior(file, photos, size, bins, wanted, fabric):
    """The smoothed prior (Q,) of prior.npz.

    Where there is none, it is estimated by all processes and written, as page 01 does.

    photos: array, or shards read at `size`. wanted: the settings' section `prior`.
    """
    import numpy as np
    import torch

    from repro.files import write_atomically
    from repro.prior import count_colors, rebalancing_weights, shares_of, smooth
    from repro.training.batches import true_colors
    from repro.training.processes import summed

    if fabric.broadcast(file.exists()):
        try:
            smoothed = torch.from_numpy(np.load(file, allow_pickle=False)["smoothed"])
        except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, BadZipFile):
            smoothed = torch.zeros(0)
        if smoothed.shape != (len(bins),):
            raise ValueError(f"{file} is no prior of this project, or broken; delete it, and it is made again")
        return smoothed
    colors = true_colors(photos, size, wanted.photographs, fabric.global_rank, fabric.world_size)
    counts = count_colors(colors, bins, wanted.soft, wanted.neighbours)  # of this process's part
    prior = shares_of(summed(counts, fabric))
    smoothed = smooth(prior, bins, wanted.smoothing)
    if fabric.global_rank == 0:
        content = io.BytesIO()
        weights = rebalancing_weights(smoothed, wanted.uniform_mix)
        np.savez(content, prior=prior, smoothed=smoothed, weights=weights)
        try:
            write_atomically(file, content.getvalue())
        except OSError as error:
            raise ValueError(f"{file} cannot be written: {error.strerror or error}") from None
    return smoothed

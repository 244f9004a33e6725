"""The commands of python -m repro, one a file: arguments and messages, nothing else."""

import sys


def fail(message):
    """Print what is wrong; returns the exit code."""
    print(f"error: {message}", file=sys.stderr)
    return 1


def read_settings(file, changes=None):
    """The settings of a file, each checked, and the recipe of every training as a whole."""
    from repro.settings import read
    from repro.training.settings import settings_of

    settings = read(file, changes)
    for objective in settings.models.objectives:
        settings_of(settings, objective)
    return settings

"""python -m repro page: a stage of the pipeline; python -m repro code: what each stage uses of this library."""

from repro import paths
from repro.commands import fail, read_settings
from repro.kinds import OBJECTIVES, SettingsError


def add(commands):
    """Add the commands to the parser of python -m repro."""
    command = commands.add_parser(
        "page", help="execute a page with its settings from params.yaml (the stages of the pipeline)"
    )
    command.add_argument("name", help="of the page, as 06_raw_accuracy")
    command.add_argument("--objective", choices=OBJECTIVES, help="of page 04_training")
    command.add_argument("--params", default="params.yaml", metavar="FILE", help="settings (params.yaml)")
    command.add_argument("--prepare-only", action="store_true", help="write the page with its settings, unexecuted")
    command.set_defaults(run=page)
    command = commands.add_parser(
        "code", help="list for every page the files of repro/ that it uses (a stage of the pipeline)"
    )
    command.set_defaults(run=code)


def page(options):
    """Execute a page; a wrong setting is one line, a failing cell is shown."""
    from papermill.exceptions import PapermillExecutionError

    from repro.pages.pipeline import run_page

    try:
        run_page(options.name, read_settings(options.params), options.objective, options.prepare_only)
    except (FileNotFoundError, SettingsError, PapermillExecutionError) as error:
        return fail(error)
    return 0


def code(options):
    """Write outputs/code/<page>.txt."""
    from repro.pages.pipeline import write_code

    write_code(paths.OUTPUTS / "code")
    return 0

"""What the extras of pyproject.toml bring: a command that lacks one says in one line what to install.

The package alone colours photographs. Whatever else a command needs is imported when it runs, so that a missing
package is noticed there, by `python -m repro`, and nowhere else.
"""

BRINGS = {  # extra -> the modules that this library imports from it
    "train": (
        "lightning_fabric",
        "sklearn",
        "threadpoolctl",
        "skimage",
        "pooch",
        "webdataset",
        "simplejpeg",
        "aiohttp",
    ),
    "classifiers": ("transformers", "huggingface_hub"),
    "study": ("starlette", "uvicorn", "segno"),
    "pages": ("matplotlib", "IPython", "ipywidgets", "anywidget", "traitlets", "papermill"),
}


def what_to_install(error):
    """One line for a ModuleNotFoundError; None where no extra brings that module, so that the fault is another."""
    module = (error.name or "").partition(".")[0]
    for extra, modules in BRINGS.items():
        if module in modules:
            return (
                f"this needs {module}, which is not installed; in the project's folder: "
                f"python -m pip install -c requirements.lock -e '.[{extra}]'"
            )
    return None

"""What all tests share: stated shapes are checked; one thread, no deadlines, a handful of painted photographs."""

import shutil

import jaxtyping
import pytest
import torch
from hypothesis import settings

from tests import typechecker

# Before anything of repro is imported: from here on each call of these modules is checked against its signature.
# In processes that a test starts nothing is checked.
SHAPES_ARE_CHECKED = """color bins examples encoding network prior initialization objectives decoding encoder
datasets colorizer evaluation training.batches training.networks training.loop training.validation
training.checkpoints training.plan training.processes""".split()
jaxtyping.install_import_hook([f"repro.{name}" for name in SHAPES_ARE_CHECKED], f"{typechecker.__name__}.checked")

from repro.bins import ab_bins
from repro.datasets.world import WorldSource
from repro.examples import to_example
from repro.network import ColorizationNet

torch.set_num_threads(1)  # the tensors here are small: more threads only wait for each other on a busy machine
settings.register_profile("repro", deadline=None, max_examples=40, derandomize=True, database=None)
settings.load_profile("repro")


@pytest.fixture
def unchecked():
    """Signatures are not checked: for what a function itself says of a wrong argument, and for torch's compiler."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def bins():
    return ab_bins()


@pytest.fixture(scope="session")
def photos():
    """24 painted scenes: (24, 32, 32, 3) uint8, read-only."""
    rgb8 = WorldSource().bulk("train", size=32, limit=24)[0]
    rgb8.flags.writeable = False
    return rgb8


@pytest.fixture(scope="session")
def held_out():
    """8 other scenes: (8, 32, 32, 3) uint8."""
    return WorldSource().bulk("val", size=32, limit=8)[0]


@pytest.fixture(scope="session")
def lightness(photos):
    """(24, 1, 32, 32) float32, 0..100."""
    return to_example(photos)[0]


@pytest.fixture
def tiny_network():
    """Makes small networks, the same at every call."""

    def make(outputs=313, width=0.03):
        torch.manual_seed(0)
        return ColorizationNet(width, outputs)

    return make


# ---- a real browser ----

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
SWITCHES += ["--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window; skips where there is none.

    No longer than a module: while Playwright is open its event loop counts as running, and other tests start
    their own.
    """
    if CHROMIUM is None:
        pytest.skip("no chromium or google-chrome on the PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()

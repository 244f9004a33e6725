"""What a training will take before it is begun: hours and cost of the paper's schedule, and what limits it.

Every figure that goes in is either measured (the processor's matrix rate, the rate of a training, decoding) or
stated by the reader (a price, another machine's peak); `hours` and `cost` are computed from them.
"""

import io
import json
import time
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from repro import paths
from repro.network import ColorizationNet, multiply_adds

PAPER_SAMPLES = 450_000 * 40  # steps of 40 photographs
H200_PEAK = 989e12  # FLOP/s in bfloat16, dense, as the maker states it


@dataclass(frozen=True)
class Machine:
    """Something to train on.

    peak: FLOP/s of one device.  share: of it that a training reaches, 0..1.  devices: GPUs, or 1 for a
    processor.  input_rate: photographs a second that its cores decode.  price: of all of it, per hour.
    measured: were peak and share measured, or are they stated?
    """

    name: str
    peak: float
    share: float
    devices: int
    input_rate: float
    price: float
    measured: bool


@dataclass(frozen=True)
class Estimate:
    """How long a training takes, what it costs, and what limits it.

    network_rate, rate: photographs a second of the network alone, and with its input; hours and cost of the samples;
    limit: "network" or "input".
    """

    network_rate: float
    rate: float
    hours: float
    cost: float
    limit: str


def estimate(machine, flops, samples=PAPER_SAMPLES):
    """An Estimate for so many samples of so many FLOPs each."""
    network_rate = machine.devices * machine.peak * machine.share / flops
    rate = min(network_rate, machine.input_rate)
    hours = samples / rate / 3600
    limit = "network" if network_rate <= machine.input_rate else "input"
    return Estimate(network_rate, rate, hours, hours * machine.price, limit)


def layer_flops(width=1.0, outputs=313, crop=176):
    """{layer: FLOPs of a training step on one photograph}.

    A multiply-add counts 2, and there are three passes: one forward and two backward (to the features and to
    the weights).
    """
    network = ColorizationNet(width, outputs)
    return {name: 6 * count for name, count in multiply_adds(network, crop, crop).items()}


def training_flops(network, crop):
    """FLOPs of a training step on one photograph, of any network: three passes, as PyTorch counts the first."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        type(network)(network.width, network.outputs).eval()(torch.empty(1, 1, crop, crop))
    return 3 * counter.get_total_flops()


def recorded(file=paths.RESULTS / "gpu.json"):
    """(hardware, photographs a second, hours of the paper's schedule), as measured.

    `python -m benchmarks gpu` measured them at the paper's own size and batch.
    """
    found = json.loads(file.read_text())
    step = next(figure for figure in found["figures"]["gpu"] if "40 x 176" in figure["name"])
    return found["hardware"], step["notes"]["photographs_per_second"], step["notes"]["hours_of_the_papers_schedule"]


def matrix_rate(device="cpu", precision="32-true", size=None, seconds=0.3):
    """FLOP/s of the device's own matrix product: what a training is measured against.

    Of `size` x `size` matrices, the best of what fits into `seconds`.
    """
    device = torch.device(device)
    size = size or (8192 if device.type == "cuda" else 1024)
    dtype = torch.bfloat16 if precision == "bf16-mixed" else torch.float32
    left, right = torch.randn(2, size, size, device=device, dtype=dtype)
    best, end = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < end:
        began = time.perf_counter()
        left @ right
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


def decode_rate(photo: UInt8[np.ndarray, "h w 3"], size: int = 256, seconds: float = 0.2) -> float:
    """Photographs a second that one core decodes, as shards hold them: here one photograph resized to `size`."""
    import simplejpeg

    buffer = io.BytesIO()
    Image.fromarray(np.asarray(photo)).resize((size, size)).save(buffer, "JPEG", quality=90)
    data, count, began = buffer.getvalue(), 0, time.perf_counter()
    while not count or time.perf_counter() - began < seconds:
        simplejpeg.decode_jpeg(data)
        count += 1
    return count / (time.perf_counter() - began)

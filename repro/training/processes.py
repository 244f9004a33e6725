"""Where a run runs: one process or many, on which device, in which precision, and how it is asked to stop."""

import logging
import os
import re
import signal
import threading
import time
from datetime import timedelta

import torch
from jaxtyping import Shaped
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
logging.getLogger("lightning.fabric").setLevel(logging.WARNING)

ASK_EVERY = 20  # steps between which processes agree on stopping
PATIENCE = timedelta(minutes=10)  # for a process that does not answer: longer than a stalled shard takes to be given up


def open_fabric(accelerator="auto"):
    """A Fabric for this process alone or, under torchrun, for its part of them all.

    The processes share their gradients by DDP, over nccl on GPUs and gloo on processors.  Raises ValueError for an
    accelerator that is not here.
    """
    world, local = 1, 1
    if torch.distributed.is_torchelastic_launched():
        world, local = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
    strategy = DDPStrategy(timeout=PATIENCE) if world > 1 else "auto"
    try:
        fabric = Fabric(accelerator=accelerator, strategy=strategy, devices=local, num_nodes=world // local)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"accelerator {accelerator} cannot be used here: {str(error).splitlines()[0]}") from None
    fabric.launch()
    return fabric


def autocast(precision, device):
    """Context in which the network computes: in bfloat16 where `precision` says so."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed")


def fastest_precision(precision, fabric):
    """The precision, with "auto" resolved: bf16-mixed where the device multiplies faster in bfloat16, else 32-true.

    On a processor it is measured: some have the instructions and are slower with them.  The first process
    decides for all, and a run keeps what it began with.
    """
    if precision != "auto":
        return precision
    device, faster = fabric.device, False
    if device.type == "cuda":
        faster = torch.cuda.is_bf16_supported()
    elif device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        faster = bfloat16_speedup() > 1.1
    return fabric.broadcast("bf16-mixed" if faster else "32-true")


def bfloat16_speedup(rounds=3):
    """How many times faster a convolution is in bfloat16 on the processor.

    The convolution is one as the network has them, timed forward and backward.
    """
    convolution = torch.nn.Conv2d(64, 64, 3, padding=1).to(memory_format=torch.channels_last)
    features = torch.randn(8, 64, 32, 32).contiguous(memory_format=torch.channels_last).requires_grad_()
    best = {}
    for _ in range(rounds + 1):  # the first round warms up and is beaten by the others
        for precision in ("32-true", "bf16-mixed"):
            began = time.perf_counter()
            with autocast(precision, features.device):
                output = convolution(features)
            output.float().sum().backward()
            best[precision] = min(best.get(precision, 9e9), time.perf_counter() - began)
    return best["32-true"] / best["bf16-mixed"]


def summed(tensor: Shaped[Tensor, "*n"], fabric) -> Shaped[Tensor, "*n"]:
    """The sum of the processes' tensors, on the CPU."""
    if fabric.world_size == 1:
        return tensor
    return fabric.all_reduce(tensor.to(fabric.device), reduce_op="sum").cpu()


def is_lost_process(error, fabric):
    """Whether a RuntimeError says that another process ended, or has not answered for PATIENCE."""
    return fabric.world_size > 1 and bool(re.search("gloo|nccl|connection|timed out|socket", str(error), re.I))


class StopRequest:
    """Within this context SIGTERM or one ctrl-c does not end the process; `agreed` tells the loop that it came."""

    def __init__(self, fabric):
        self.fabric, self.asked, self.before = fabric, False, {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self.before = {kind: signal.signal(kind, self._ask) for kind in (signal.SIGTERM, signal.SIGINT)}
        return self

    def _ask(self, kind, _):
        if self.asked and kind == signal.SIGINT:  # somebody who does not want to wait for the step
            raise KeyboardInterrupt
        self.asked = True

    def agreed(self, step):
        """Has any process been asked?  All get the same answer at the same step."""
        if self.fabric.world_size == 1:
            return self.asked
        if step % ASK_EVERY:
            return False
        asked = torch.tensor(float(self.asked), device=self.fabric.device)
        return bool(self.fabric.all_reduce(asked, reduce_op="sum") > 0)

    def __exit__(self, *error):
        for kind, handler in self.before.items():
            signal.signal(kind, handler)

"""Processes that work beside this one, end with it, and leave Ctrl-C to it."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor


def open_pool(count, prepare=None, *arguments, threads=1):
    """A ProcessPoolExecutor of `count` fresh processes, of `threads` of torch each.

    prepare: a function that each process calls once, with the arguments.  Close it by `shutdown(cancel_futures=True)`:
    what is in hand is then finished first.  Whatever a process is killed by, its future raises BrokenProcessPool.
    """
    spawn = multiprocessing.get_context("spawn")
    started = (threads, prepare, arguments)
    return ProcessPoolExecutor(count, mp_context=spawn, initializer=_start_worker, initargs=started)


def _start_worker(threads, prepare, arguments):
    """Ctrl-C is the parent's business; without a parent there is nothing to do."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    if prepare:
        prepare(*arguments)


def _end_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)

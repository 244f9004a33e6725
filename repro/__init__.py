"""Colorful Image Colorization (Zhang, Isola, Efros, ECCV 2016), rebuilt to be read, run and measured."""

import os

# Before torch starts its threads: they sleep when they wait for each other. By default they spin, and with one other
# program on the machine everything then takes several times as long as with a single thread. A user's own value stays.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__version__ = "0.2.0"

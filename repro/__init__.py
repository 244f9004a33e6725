"""Colorful Image Colorization (Zhang, Isola, Efros, ECCV 2016), rebuilt to be read, run and measured."""

__version__ = "0.2.0"

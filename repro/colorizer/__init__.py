"""Photograph in, photograph out: a trained network with its decoding."""

from repro.colorizer.model import Colorizer, trained_models

__all__ = ["Colorizer", "trained_models"]

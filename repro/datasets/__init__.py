"""Photographs: where they come from, and how they are prepared, packed and read."""

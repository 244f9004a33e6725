"""Each figure of speed or memory that we state, measured beside its peer in the same run: python -m benchmarks."""

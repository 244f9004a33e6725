"""The training of a network, on one process or many."""

"""The parts of `python -m scripts.benchmark`: processes in turn, FLOP counts, table and figure."""

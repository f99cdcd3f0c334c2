"""The parts of `python -m scripts.robustness`: a file for each kind of hardship, and what they share."""

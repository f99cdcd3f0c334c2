"""The experiments of `scripts.reproduce`: one NAME.toml each, and the Python that runs their kinds."""

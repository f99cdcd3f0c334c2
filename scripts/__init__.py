"""The programs: `python -m scripts.train_model`, `python -m scripts.test_model`."""

import mydl  # noqa: F401 - before NumPy, which import sorting puts first elsewhere: mydl names the BLAS core it loads

"""The programs: `python -m scripts.train_model`, `python -m scripts.test_model`."""

import mydl  # before NumPy, which import sorting puts first elsewhere: mydl names the BLAS core it loads

"""A stand-in for CuPy that keeps CuPy's rules on NumPy memory: what breaks here would break, or wait, on a GPU.

    with strict_cupy.installed() as ledger:
        x = mydl.tensor([1.0], device="cuda")

Within the block `import cupy` gives the stand-in. Its arrays are no NumPy arrays and refuse to be mixed with them or
turned into them; only the names and parameters that CuPy has exist (api.json); index arrays out of range wrap;
reductions give 0-d arrays. The ledger counts what makes a program wait for the GPU and what is copied to and from it.
"""

from __future__ import annotations

from tests.strict_cupy.ledger import Ledger
from tests.strict_cupy.module import installed

__all__ = ["Ledger", "installed"]

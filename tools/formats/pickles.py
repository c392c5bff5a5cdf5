"""Read pickles of other code without running anything in them.

numpy's own `dtype.__setstate__` is not safe for files from outside, so `_Dtype` takes its place.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np


class _Dtype:
    def __init__(self, code: str, *_):
        self.dtype = np.dtype(str(code))
        if self.dtype.kind not in "fiub":
            raise pickle.UnpicklingError(f"it holds an array of {self.dtype}, not numbers")

    def __setstate__(self, state: tuple):
        self.dtype = self.dtype.newbyteorder(">" if state[1] == ">" else "<")


class _Array(np.ndarray):
    def __setstate__(self, state: tuple):
        version, shape, dtype, by_column, content = state
        super().__setstate__((version, shape, dtype.dtype, by_column, content))


def _from_buffer(content, dtype: _Dtype, shape, order: str, axes=None) -> np.ndarray:
    values = np.frombuffer(content, dtype.dtype)
    if axes is None:
        return values.reshape(shape, order=order)
    return values.reshape(shape).transpose(axes)  # numpy 2.4 and later: as it lay in memory


ALLOWED = {
    "numpy.ndarray": None,  # an argument of _reconstruct, never called
    "numpy.dtype": _Dtype,
    "_codecs.encode": lambda text, encoding: text.encode("latin1"),  # bytes in protocols 0 to 2
}
for _core in ("numpy.core", "numpy._core"):  # before numpy 2, and since
    ALLOWED |= {
        f"{_core}.multiarray._reconstruct": lambda *_: np.ndarray.__new__(_Array, (0,)),
        f"{_core}.multiarray.scalar": lambda dtype, raw: np.frombuffer(raw, dtype.dtype)[0],
        f"{_core}.numeric._frombuffer": _from_buffer,
    }


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        if (full := f"{module}.{name}") not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {full}, which is not loaded")
        return ALLOWED[full]


def read_pickle(path: Path) -> Any:
    """Read a pickle of plain values and arrays of numbers; anything else raises some error."""
    with path.open("rb") as file:
        return _Unpickler(file).load()

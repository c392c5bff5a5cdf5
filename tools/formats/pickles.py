"""Read pickles of other code without running anything: only plain values and arrays of numbers."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from tools.cli import UserError
from tools.formats.array_files import require_file


class _Dtype:
    """Stands for numpy.dtype while a pickle is read; allows only types of numbers."""

    def __init__(self, code: str, *_):
        self.dtype = np.dtype(str(code))
        if self.dtype.kind not in "fiub":
            raise pickle.UnpicklingError(f"it holds an array of {self.dtype}, not numbers")

    def __setstate__(self, state: tuple):
        self.dtype = self.dtype.newbyteorder(">" if state[1] == ">" else "<")


class _Array:
    """Stands for numpy.ndarray while a pickle is read; `value` becomes the array."""

    value = None

    def __setstate__(self, state: tuple):
        _, shape, dtype, by_column, content = state
        self.value = _array(content, dtype, shape, "F" if by_column else "C").value


def _array(
    content: bytes,
    dtype: _Dtype,
    shape: tuple[int, ...],
    order: str = "C",
    axes: tuple[int, ...] | None = None,
) -> _Array:
    array, values = _Array(), np.frombuffer(content, dtype.dtype)
    if axes is None:
        array.value = values.reshape(shape, order=order)
    else:  # order "K", pickled by numpy 2.4 and later: as it lay in memory, then transposed
        array.value = values.reshape(shape).transpose(axes)
    return array


def _scalar(dtype: _Dtype, content: bytes) -> int | float | bool:
    (value,) = np.frombuffer(content, dtype.dtype)
    return value.item()


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":  # the encoding of an array's bytes in pickles of protocol 2 and below
        raise pickle.UnpicklingError(f"it asks for text in {encoding}")
    return text.encode("latin1")


_ALLOWED = {
    "numpy.ndarray": _Array,
    "numpy.dtype": _Dtype,
    "_codecs.encode": _encode,
}
for _core in ("numpy.core", "numpy._core"):  # before numpy 2, since numpy 2
    _ALLOWED |= {
        f"{_core}.multiarray._reconstruct": lambda *_: _Array(),
        f"{_core}.multiarray.scalar": _scalar,
        f"{_core}.numeric._frombuffer": _array,
    }


class _Plain(pickle.Unpickler):
    """Reads lists, tuples, dicts, strings, numbers and arrays of numbers, and nothing else."""

    def find_class(self, module: str, name: str):
        try:
            return _ALLOWED[f"{module}.{name}"]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, which is not loaded"
            ) from None


def read_pickle(path: Path, what: str) -> Any:
    """Read a pickle. Its arrays must then go through `plain`.

    path: the file.
    what: what the file should hold, for the error.
    Raises UserError where the file is missing or holds anything that is not plain.
    """
    require_file(path)
    try:
        with path.open("rb") as file:
            return _Plain(file).load()
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly any error
        reason = str(error).splitlines() or [type(error).__name__]
        raise UserError(f"{path} does not hold {what} ({reason[0][:150]})") from None


def plain(value: Any) -> Any:
    """A value of a pickle; an array becomes a numpy.ndarray, other values stay as they are."""
    return value.value if isinstance(value, _Array) else value

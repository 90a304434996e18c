"""Kernels compiled by numba at their first call; what was compiled is kept on disk where there is a place to write."""

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

Number = int | np.int64
_Function = TypeVar("_Function", bound=Callable[..., Any])


def kernel(function: _Function) -> _Function:
    """The function, compiled when it is first called and loaded from disk in later processes.

    numba writes beside the source, else under the user's cache folder (NUMBA_CACHE_DIR overrides both), by atomic renames: workers that
    compile at the same time overwrite each other with the same code. Call a kernel with one set of array types only, so that this holds,
    and only kernels of its own file, since the kept code is renewed when that file changes. With no place to write it compiles anew in
    every process.
    """
    try:
        made: _Function = numba.njit(cache=True)(function)
    except RuntimeError:  # no folder to cache in: a read-only installation and no home
        made = numba.njit(function)
    return made


def _load64(_typing: Any, array: Any, index: Any) -> Any:  # noqa: ARG001  numba takes the operands' types by these names
    """Eight bytes from `index` on, the first lowest, at any alignment."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(64).as_pointer())
        value = builder.load(place)
        value.align = 1
        return value

    return types.uint64(array, types.int64), generate


def _store64(_typing: Any, array: Any, index: Any, value: Any) -> Any:  # noqa: ARG001
    """Write eight bytes from `index` on, the lowest first, at any alignment."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        builder.store(arguments[2], builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(64).as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64), generate


def _zeros(_typing: Any, value: Any) -> Any:  # noqa: ARG001
    """How many bits below the lowest one that is set."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


def _ones(_typing: Any, value: Any) -> Any:  # noqa: ARG001
    """How many bits are set."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


load64: Callable[[npt.NDArray[np.uint8], Number], np.uint64] = intrinsic(_load64)
store64: Callable[[npt.NDArray[np.uint8], Number, np.uint64], None] = intrinsic(_store64)
zeros: Callable[[np.uint64], np.uint64] = intrinsic(_zeros)
ones: Callable[[np.uint64], int] = intrinsic(_ones)

"""The dtypes of observations, and the casts to them.

Environments observe numbers of any dtype. What acts (TensorFlow Lite), learns
and is exported takes some of them, so all else is cast where it comes from an
environment, once: what is not taken becomes the least dtype that is and that
holds its numbers, but for floats, which become float32.
"""

from typing import Any

from dm_env import specs
import numpy as np
import tree

# By dtype what it is cast to; all others are taken as they are.
_CASTS = {
  np.dtype(np.uint16): np.dtype(np.int32),
  np.dtype(np.uint32): np.dtype(np.int64),
  np.dtype(np.uint64): np.dtype(np.int64),
  np.dtype(np.float16): np.dtype(np.float32),
  np.dtype(np.float64): np.dtype(np.float32),
  np.dtype(np.longdouble): np.dtype(np.float32),
}


def taken(dtype: Any) -> np.dtype:
  """What observations of a dtype are cast to; in the machine's byte order.

  Args:
    dtype: of numbers or booleans.
  """
  native = np.dtype(dtype).newbyteorder('=')
  return _CASTS.get(native, native)


def cast(x: Any, dtype: Any) -> np.ndarray:
  """An array of a dtype, where that loses no more than precision.

  Args:
    x: numbers or booleans of any shape.
    dtype: of the same kind, or of a more general one: booleans may become
      integers, and these floats. A float too large for it becomes infinite.

  Raises:
    ValueError: if the kind is another, or an integer does not fit.
  """
  x, dtype = np.asarray(x), np.dtype(dtype)
  if np.can_cast(x.dtype, dtype):
    return x.astype(dtype, copy=False)
  unsigned = x.dtype.kind == 'i' and dtype.kind == 'u'
  if not np.can_cast(x.dtype, dtype, 'same_kind') and not unsigned:
    raise ValueError(f'must be {dtype}, but received {x.dtype}')
  if dtype.kind in 'iu' and x.size:
    info = np.iinfo(dtype)
    for extreme in (int(x.min()), int(x.max())):
      if not info.min <= extreme <= info.max:
        raise ValueError(
          f'must be {dtype}, {info.min} to {info.max}, but received {extreme}'
        )
  with np.errstate(over='ignore'):
    return x.astype(dtype)


def cast_spec(spec: Any) -> Any:
  """A nest of `specs.Array` with the dtypes that are taken."""
  with np.errstate(over='ignore'):  # Bounds beyond 32 bits are none.
    return tree.map_structure(_cast_spec, spec)


def _cast_spec(spec: specs.Array) -> specs.Array:
  dtype = taken(spec.dtype)
  if dtype == spec.dtype:
    return spec
  if not isinstance(spec, specs.BoundedArray):
    return specs.Array(spec.shape, dtype, spec.name)
  bounds = [spec.minimum, spec.maximum]
  if dtype.kind == 'i':  # Half of uint64 does not fit.
    bounds = [np.minimum(bound, np.iinfo(dtype).max) for bound in bounds]
  return specs.BoundedArray(spec.shape, dtype, *bounds, name=spec.name)

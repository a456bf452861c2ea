"""The dtypes of observations, and the casts to them.

Observations may have any numeric dtype. Acting (TensorFlow Lite), learning and
exports support some, so other dtypes are cast once, where they come from the
environment: floats to float32, others to the smallest supported dtype that
holds their values.
"""

from typing import Any

from dm_env import specs
import numpy as np
import tree

# Casts by dtype; all other dtypes are supported.
_CASTS: dict[np.dtype, np.dtype] = {
  np.dtype(np.uint16): np.dtype(np.int32),
  np.dtype(np.uint32): np.dtype(np.int64),
  np.dtype(np.uint64): np.dtype(np.int64),
  np.dtype(np.float16): np.dtype(np.float32),
  np.dtype(np.float64): np.dtype(np.float32),
  np.dtype(np.longdouble): np.dtype(np.float32),
}


def taken(dtype: Any) -> np.dtype:
  """The dtype that observations of a dtype are cast to, in native byte order.

  Args:
    dtype: a numeric or boolean dtype.
  """
  native: np.dtype = np.dtype(dtype).newbyteorder('=')
  return _CASTS.get(native, native)


def cast(x: Any, dtype: Any) -> np.ndarray:
  """Casts to a dtype, if that loses no more than precision.

  Args:
    x: numbers or booleans of any shape.
    dtype: dtype of the same or a more general kind: booleans may become
      integers, and integers floats. Floats that overflow become infinite.

  Raises:
    ValueError: if the kind is less general, or an integer overflows.
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
  """A nest of `specs.Array` with its dtypes cast (`taken`)."""
  with np.errstate(over='ignore'):  # Bounds beyond float32 become infinite.
    return tree.map_structure(_cast_spec, spec)


def _cast_spec(spec: specs.Array) -> specs.Array:
  dtype = taken(spec.dtype)
  if dtype == spec.dtype:
    return spec
  if not isinstance(spec, specs.BoundedArray):
    return specs.Array(spec.shape, dtype, spec.name)
  bounds = [spec.minimum, spec.maximum]
  if dtype.kind == 'i':  # uint64 may overflow int64.
    bounds = [np.minimum(bound, np.iinfo(dtype).max) for bound in bounds]
  return specs.BoundedArray(spec.shape, dtype, *bounds, name=spec.name)

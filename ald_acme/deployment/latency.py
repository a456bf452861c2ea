"""Latency of a policy's step."""

from collections.abc import Callable
import time
from typing import Any, NamedTuple

import numpy as np


class Latency(NamedTuple):
  """Percentiles of the duration of a step, in microseconds."""

  p50: float
  p99: float


def measure(
  act: Callable[[], Any], steps: int = 2_000, warm_up: int = 200
) -> Latency:
  """Times individual steps.

  Args:
    act: does a step.
    steps: number of steps to time.
    warm_up: number of steps before, which are not timed.
  """
  seconds = np.zeros(warm_up + steps)
  for i in range(len(seconds)):
    began = time.perf_counter()
    act()
    seconds[i] = time.perf_counter() - began
  return Latency(*(1e6 * np.percentile(seconds[warm_up:], [50, 99])))

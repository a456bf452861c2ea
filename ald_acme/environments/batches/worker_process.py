"""A worker process that steps environments.

A request is a pickled `Call`. The answer is empty if there is nothing to send:
the memory was mapped, or the time step is in it. Otherwise it is a pickled
outcome and result (`_attempt`). Answers come in the order of the calls.
"""

from collections.abc import Callable
import contextlib
import ctypes
import multiprocessing
from multiprocessing import connection
from multiprocessing import reduction
import os
import pickle
import signal
import threading
import traceback
from typing import Any, NamedTuple

import numpy as np
import tree

from ald_acme import activity
from ald_acme.environments.batches import members
from ald_acme.environments.batches import shared_steps
from ald_acme.environments.batches import stacking
from ald_acme.environments.interface import contract

# A worker's share of each half, as slices of the batch; None for no share.
Shares = tuple[slice | None, slice | None]
MAP = 'map'  # Pseudo-method that maps the shared memory.
TEXT = 300  # Bytes of the description of a worker's wait.
_STEPS = ('reset', 'step')  # Methods that return time steps.


class Call(NamedTuple):
  """A call of a method of the environments of some halves.

  Attributes:
    method: name of the method.
    halves: the halves of the batch.
    first: index of the first environment in `batches`.
    batches: arguments, nests of `[E, ...]`; each worker uses its share.
    others: arguments that are the same for all workers.
  """

  method: str
  halves: tuple[int, ...]
  first: int = 0
  batches: tuple = ()
  others: tuple = ()


def serve(
  pipe: connection.Connection,
  doing: ctypes.Array,
  pickled: bytes,
  shares: Shares,
) -> None:
  """Creates environments and serves calls to them, in a worker.

  Args:
    pipe: connection to the parent.
    doing: shared text that describes what the worker waits for.
    pickled: function that creates environments from `batch_size` and `first`.
    shares: the worker's shares of the halves.
  """
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent handles it.
  threading.Thread(target=_end_with_parent, daemon=True).start()

  def tell(what: str) -> None:
    doing.value = what.encode()[: TEXT - 1]

  activity.current().mirror(tell)

  own = {half: share for half, share in enumerate(shares) if share}

  def make() -> dict[int, stacking.Stacked]:
    stack = pickle.loads(pickled)
    return {
      half: stack(batch_size=share.stop - share.start, first=share.start)
      for half, share in own.items()
    }

  outcome, made = _attempt(make)
  if outcome != 'fine':
    with contextlib.suppress(OSError):
      pipe.send((outcome, made))
    return
  steps: shared_steps.SharedSteps | None = None
  with contextlib.suppress(EOFError, OSError):  # The parent closed the pipe.
    while True:
      call = pickle.loads(pipe.recv_bytes())
      method = call.method
      outcome, answer, answers = 'fine', None, []
      if method == MAP:
        outcome, answer = _attempt(_map, pipe, *call.others)
        steps = answer if outcome == 'fine' else None
      for half in call.halves:
        if half not in own:
          continue
        share = own[half]
        rows = slice(share.start - call.first, share.stop - call.first)
        outcome, answer = _attempt(
          getattr(made[half], method),
          *[_rows(batch, rows) for batch in call.batches],
          *call.others,
        )
        if outcome == 'fine' and method in _STEPS:
          assert steps, 'MAP comes first'
          outcome, answer = _attempt(
            steps.write, share, answer, made[half].lost
          )
        if outcome != 'fine':
          break
        answers.append(answer)
      if outcome == 'failed' and method == 'render':
        outcome = 'refused'
      if outcome != 'fine':
        pipe.send((outcome, answer))
      elif method in (MAP, *_STEPS):
        pipe.send_bytes(b'')  # The time steps lie in shared memory.
      else:
        pipe.send((outcome, answers))
  for environment in made.values():
    environment.close()


def _rows(batch: Any, rows: slice) -> Any:
  if isinstance(batch, np.ndarray):  # The usual case; faster.
    return batch[rows]
  return tree.map_structure(lambda x: x[rows], batch)


def _map(
  pipe: connection.Connection, *arguments: Any
) -> shared_steps.SharedSteps:
  """Receives a descriptor of shared memory, and maps the memory."""
  descriptor = reduction.recv_handle(pipe)
  try:
    return shared_steps.SharedSteps(descriptor, *arguments)
  finally:
    os.close(descriptor)


def _end_with_parent() -> None:
  """Ends this process when its parent has ended, even during a step.

  The pipe also closes then, but the worker reads it only between steps, and an
  environment may hang.
  """
  parent = multiprocessing.parent_process()
  assert parent, 'runs in a worker'
  while os.getppid() == parent.pid:
    parent.join(1.0)
  os._exit(1)


def _attempt(function: Callable[..., Any], *arguments: Any) -> tuple[str, Any]:
  """Calls a function; returns the outcome, and the result or the error.

  The outcome is 'fine', 'named' if the error names the environment, or
  'failed'.
  """
  try:
    return 'fine', function(*arguments)
  except (members.Failure, contract.Breach) as error:
    traceback.print_exc()
    return 'named', str(error)
  except Exception as error:  # User code may raise anything.
    traceback.print_exc()
    return 'failed', f'{type(error).__name__}: {error}'

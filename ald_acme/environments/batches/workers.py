"""Environments that step in worker processes."""

import collections
from collections.abc import Callable, Sequence
import contextlib
import copy
import ctypes
import functools
import multiprocessing
from multiprocessing import connection
from multiprocessing import context
from multiprocessing import reduction
import os
import pickle
from typing import Any

import dm_env
import numpy as np
import tree

from ald_acme import activity
from ald_acme import processes as children
from ald_acme.environments.batches import members
from ald_acme.environments.batches import shared_steps
from ald_acme.environments.batches import stacking
from ald_acme.environments.batches import worker_process
from ald_acme.environments.interface import base

_GRACE = 5.0  # Seconds for a worker to end.
_BOTH = (0, 1)  # Halves of the batch.


class Workers(base.BatchedEnvironment):
  """A batch of environments that worker processes step in parallel.

  This suits slow environments: a step costs a message to each worker and back.
  Time steps are passed in shared memory. A worker with several environments has
  some of each of the `halves`: it steps one half while actions are selected for
  the other.

  Workers are spawned: each is a new interpreter that imports the factory's
  module and its dependencies. Forking a process with TensorFlow or Courier may
  deadlock on a lock held by another thread, and a fork server would outlive the
  environments. A worker ends when its parent ends or is killed, even during a
  step.
  """

  def __init__(
    self,
    factory: Callable[[int], dm_env.Environment],
    batch_size: int,
    seed: int,
    workers: int,
    name: str | None = None,
    remakes: int = 0,
  ) -> None:
    """Starts the workers, and waits until their environments exist.

    Args:
      factory: as for `stacking.stack`. Workers import it, so it must be a
        function of a module, or a partial of one.
      batch_size: E, at least one.
      seed: as for `stacking.stack`.
      workers: number of processes, at least one; at most E are started.
      name: name of the environment, for errors.
      remakes: as for `stacking.stack`, per worker and half.

    Raises:
      ValueError: if the factory cannot be pickled, or specs differ.
      members.Failure: if a worker cannot create its environments.
    """
    self._name = name or getattr(factory, '__name__', 'the environment')
    self._remakes = remakes
    self._lost = np.zeros(batch_size, bool)
    self._processes: list[context.SpawnProcess] = []
    self._pipes: list[connection.Connection] = []
    self._doing: list[ctypes.Array] = []  # Description of each worker's wait.
    self._shares = _divide(batch_size, min(workers, batch_size))
    # The halves of the batch that this object steps, their rows and workers.
    self._halves: tuple[int, ...] = _BOTH
    self._rows = slice(0, batch_size)
    self._workers = list(range(len(self._shares)))
    # Per worker: halves with an answer due, and answers received early.
    self._asked: list[collections.deque[tuple[int, ...]]] = [
      collections.deque() for _ in self._shares
    ]
    self._early: list[dict[tuple[int, ...], bytes]] = [{} for _ in self._shares]
    # Workers do not import the main module.
    with children.without_main():
      try:
        make = pickle.dumps(
          functools.partial(
            stacking.stack, factory, seed=seed, name=name, remakes=remakes
          )
        )
      except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
          f'the factory of {self._name} cannot be pickled for the workers '
          f'({error}); use a function of an importable module.'
        ) from error
      for shares in self._shares:
        self._start(make, shares)
    try:
      self._observation_spec = self._agree('observation_spec')
      self._action_spec = self._ask_all('action_spec')[0]
      self._steps = self._share_steps()
    except BaseException:
      self.close()
      raise

  def _start(self, make: bytes, shares: worker_process.Shares) -> None:
    spawning = multiprocessing.get_context('spawn')
    ours, theirs = spawning.Pipe()
    doing = spawning.RawArray('c', worker_process.TEXT)
    process = spawning.Process(
      target=worker_process.serve,
      args=(theirs, doing, make, shares),
      name=f'worker_{len(self._processes)}',
      daemon=True,
    )
    process.start()
    theirs.close()  # So that the pipe closes with the worker.
    self._processes.append(process)
    self._pipes.append(ours)
    self._doing.append(doing)

  def _agree(self, method: str) -> Any:
    """Returns a spec after checking that it is equal in all workers."""
    first, *rest = self._ask_all(method)
    for answer in rest:
      own, other = (
        tree.map_structure(lambda spec: (spec.shape, spec.dtype), spec)
        for spec in (answer, first)
      )
      if own != other:
        raise ValueError(
          f'{method} must be the same in all environments of {self._name}, but '
          f'some have {first!r}, and others {answer!r}.'
        )
    return first

  def _share_steps(self) -> shared_steps.SharedSteps:
    """Allocates shared memory for time steps, and has the workers map it."""
    spec, size = self._observation_spec, self.batch_size
    descriptor = shared_steps.create(spec, size)
    try:
      message = pickle.dumps(
        worker_process.Call(worker_process.MAP, (), others=(spec, size))
      )
      for worker, process in enumerate(self._processes):
        self._send(worker, message)
        with contextlib.suppress(OSError):  # As in `_send`.
          reduction.send_handle(self._pipes[worker], descriptor, process.pid)
        self._receive(worker)
      return shared_steps.SharedSteps(descriptor, spec, size)
    finally:
      os.close(descriptor)

  @property
  def batch_size(self) -> int:
    return len(self._lost)

  def halves(self) -> Sequence[base.BatchedEnvironment]:
    middle, size = _middle(self.batch_size), self.batch_size
    if middle == size:
      return [self]
    return [self._half(0, slice(0, middle)), self._half(1, slice(middle, size))]

  def _half(self, half: int, rows: slice) -> 'Workers':
    """A view of one half; its `close` closes both halves."""
    part = copy.copy(self)
    part._halves, part._rows = (half,), rows
    part._workers = [
      worker
      for worker, shares in enumerate(self._shares)
      if shares[half] is not None
    ]
    part._lost = np.zeros(rows.stop - rows.start, bool)
    return part

  def reset(self) -> dm_env.TimeStep:
    """Starts new episodes.

    Raises:
      members.Failure: as `step`, if an environment raises or a worker has
        ended. All workers are stopped.
    """
    self._ask_all('reset')
    return self._read()

  def step(self, action: Any) -> dm_env.TimeStep:
    self.begin_step(action)
    return self.end_step()

  def begin_step(self, action: Any) -> None:
    length = len(tree.flatten(action)[0])
    if length != self.batch_size:
      raise ValueError(
        f'action must have length {self.batch_size}, but received {length}.'
      )
    self._send_all('step', action)

  def end_step(self) -> dm_env.TimeStep:
    for worker in self._workers:
      self._receive(worker)
    return self._read()

  def _read(self) -> dm_env.TimeStep:
    """Reads the newest time step."""
    timestep, self._lost = self._steps.read(self._rows)
    return timestep

  @property
  def lost(self) -> np.ndarray:
    return self._lost

  def metrics(self) -> dict[str, float]:
    """As `stacking.Stacked`, over all workers."""
    if not self._remakes:
      return {}
    answers = self._ask_all('metrics')
    return {key: sum(x[key] for x in answers) for key in answers[0]}

  def keep_tasks(self) -> None:
    self._ask_all('keep_tasks')

  def new_tasks(self, which: np.ndarray) -> None:
    self._ask_all('new_tasks', which)

  def restart(self, which: np.ndarray) -> bool:
    return all(self._ask_all('restart', which))

  def observation_spec(self) -> Any:
    return self._observation_spec

  def action_spec(self) -> Any:
    return self._action_spec

  def render(self, index: int = 0) -> np.ndarray:
    index = range(self.batch_size)[index] + self._rows.start
    worker, half, own = next(
      (worker, half, index - share.start)
      for worker, shares in enumerate(self._shares)
      for half, share in enumerate(shares)
      if share and share.start <= index < share.stop
    )
    call = worker_process.Call('render', (half,), others=(own,))
    self._send(worker, pickle.dumps(call))
    return self._receive(worker)[0]

  def close(self) -> None:
    """Closes the environments, and waits until the workers have ended."""
    for pipe in self._pipes:
      pipe.close()
    for process in self._processes:
      process.join(_GRACE)
      if process.exitcode is None:
        process.kill()
        process.join()
    self._pipes.clear()  # The halves share these lists.
    self._processes.clear()

  def _ask_all(self, method: str, *batches: Any) -> list[Any]:
    """Calls a method in all workers in parallel; returns the results.

    Args:
      method: name of a method of the environments.
      *batches: arguments, nests of `[E, ...]`; each worker uses its share.
    """
    self._send_all(method, *batches)
    answers = [self._receive(worker) for worker in self._workers]
    return [answer for some in answers for answer in some or ()]

  def _send_all(self, method: str, *batches: Any) -> None:
    # One pickle for all workers.
    first = self._rows.start
    message = pickle.dumps(
      worker_process.Call(method, self._halves, first, batches)
    )
    for worker in self._workers:
      self._send(worker, message)

  def _send(self, worker: int, message: bytes) -> None:
    self._check_open()
    self._asked[worker].append(self._halves)
    with contextlib.suppress(OSError):  # Ended: `_receive` will report it.
      self._pipes[worker].send_bytes(message)

  def _check_open(self) -> None:
    if not self._pipes:
      raise RuntimeError(f'the workers of {self._name} are closed.')

  def _receive(self, worker: int) -> Any:
    """Receives a worker's result; None if the result is in shared memory."""
    self._check_open()
    process = self._processes[worker]
    try:
      with activity.waiting(lambda: self._describe(worker)):
        message = self._next_answer(worker)
      outcome, answer = pickle.loads(message) if message else ('fine', None)
    except (EOFError, OSError):
      process.join(_GRACE)
      outcome, answer = 'failed', f'it ended with exit code {process.exitcode}.'
    if outcome == 'fine':
      return answer
    if outcome == 'refused':
      raise ValueError(answer)
    self.close()
    if outcome == 'failed':
      answer = f'{self._who(worker)} failed: {answer}'
    raise members.Failure(answer)

  def _next_answer(self, worker: int) -> bytes:
    """Receives a worker's next answer to a call of this half."""
    early, asked = self._early[worker], self._asked[worker]
    while self._halves not in early:  # Answers come in the order of the calls.
      early[asked.popleft()] = self._pipes[worker].recv_bytes()
    return early.pop(self._halves)

  def _who(self, worker: int) -> str:
    numbers = ' and '.join(
      f'{share.start} to {share.stop - 1}'
      if share.stop - share.start > 1
      else f'{share.start}'
      for share in self._shares[worker]
      if share
    )
    return f'worker {worker} of {self._name} (environments {numbers})'

  def _describe(self, worker: int) -> str:
    """Describes where in the code a worker hangs, even if it holds the GIL."""
    who = self._who(worker)
    doing = self._doing[worker].value.decode(errors='replace')
    return f'{who}: {doing}' if doing else f'waiting for {who}'


def _middle(batch_size: int) -> int:
  """Index of the first environment in the second half."""
  return (batch_size + 1) // 2


def _divide(batch_size: int, workers: int) -> list[worker_process.Shares]:
  """Divides both halves of a batch among workers.

  Sizes of shares differ by at most one, within each half and in total: a worker
  with a larger share of the first half has no larger share of the second.
  """
  middle = _middle(batch_size)
  first, second = (
    [len(share) for share in np.array_split(np.arange(size), workers)]
    for size in (middle, batch_size - middle)
  )
  shares = []
  for begin, sizes in ((0, first), (middle, second[::-1])):
    ends = (begin + np.cumsum(sizes)).tolist()
    shares.append(
      [slice(e - size, e) if size else None for e, size in zip(ends, sizes)]
    )
  return list(zip(*shares))

"""Environments that step in worker processes."""

from collections.abc import Callable, Sequence
import contextlib
import ctypes
import functools
import multiprocessing
from multiprocessing import connection
import os
import pickle
import signal
import threading
import traceback
from typing import Any

import dm_env
import numpy as np
import tree

from ald_acme import activity
from ald_acme import processes as children
from ald_acme.environments import base
from ald_acme.environments import contract
from ald_acme.environments import members

_GRACE = 5.0  # Seconds for a worker to end.
_TEXT = 300  # Bytes of the description of a worker's wait.


class Workers(base.BatchedEnvironment):
  """A batch of environments that worker processes step in parallel.

  It is for slow environments: a step costs a message to each worker and back.

  Workers are spawned: each is a new interpreter that imports the factory's
  module and its dependencies. A fork of a process with TensorFlow or Courier
  may deadlock on a lock of a thread that was not copied, and a fork server
  would outlive the environments. A worker ends when its parent ends or is
  killed, even during a step.
  """

  def __init__(
    self,
    factory: Callable[[int], dm_env.Environment],
    batch_size: int,
    seed: int,
    workers: int,
    name: str | None = None,
    remakes: int = 0,
  ):
    """Starts the workers, and waits until they have created their environments.

    Args:
      factory: as for `base.stack`. Workers import it, so it must be a function
        of a module, or a partial of one.
      batch_size: E, at least one.
      seed: as for `base.stack`.
      workers: number of processes, at least one and at most E are started.
      name: name of the environment, for errors.
      remakes: as for `base.stack`, per worker.

    Raises:
      ValueError: if the factory cannot be pickled.
      members.Failure: if a worker cannot create its environments.
    """
    self._name = name or getattr(factory, '__name__', 'the environment')
    self._batch_size = batch_size
    self._remakes = remakes
    self._lost = np.zeros(batch_size, bool)
    self._processes: list[multiprocessing.Process] = []
    self._pipes: list[connection.Connection] = []
    self._doing: list[ctypes.Array] = []  # What each waits for.
    shares = np.array_split(np.arange(batch_size), min(workers, batch_size))
    self._shares = [range(share[0], share[-1] + 1) for share in shares]
    # Workers have another main module.
    with children.without_main():
      for share in self._shares:
        self._start(
          functools.partial(
            base.stack,
            factory,
            len(share),
            seed,
            name,
            share.start,
            remakes,
          )
        )
    self._observation_spec = self._ask_all('observation_spec')[0]
    self._action_spec = self._ask_all('action_spec')[0]

  def _start(self, make: Callable[[], base.Stacked]):
    try:
      pickled = pickle.dumps(make)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
      raise ValueError(
        f'the factory of {self._name} cannot be pickled for the workers '
        f'({error}); use a function of an importable module.'
      ) from error
    context = multiprocessing.get_context('spawn')
    ours, theirs = context.Pipe()
    doing = context.RawArray('c', _TEXT)
    process = context.Process(
      target=_serve,
      args=(theirs, doing, pickled),
      name=f'worker_{len(self._processes)}',
      daemon=True,
    )
    process.start()
    theirs.close()  # So that the pipe closes with the worker.
    self._processes.append(process)
    self._pipes.append(ours)
    self._doing.append(doing)

  @property
  def batch_size(self) -> int:
    return self._batch_size

  def reset(self) -> dm_env.TimeStep:
    """Starts new episodes.

    Raises:
      members.Failure: as `step`, if an environment raises or a worker has
        ended. All workers are stopped.
    """
    return _join(self._ask_all('reset'))

  def step(self, action: Any) -> dm_env.TimeStep:
    length = len(tree.flatten(action)[0])
    if length != self._batch_size:
      raise ValueError(
        f'action must have length {self._batch_size}, but received {length}.'
      )
    if not self._remakes:
      return _join(self._ask_all('step', self._divide(action)))
    timesteps, lost = zip(*self._ask_all('step_and_lost', self._divide(action)))
    self._lost = np.concatenate(lost)
    return _join(timesteps)

  @property
  def lost(self) -> np.ndarray:
    return self._lost

  def metrics(self) -> dict[str, float]:
    """As `base.Stacked`, over all workers."""
    if not self._remakes:
      return {}
    answers = self._ask_all('metrics')
    return {key: sum(x[key] for x in answers) for key in answers[0]}

  def keep_tasks(self):
    self._ask_all('keep_tasks')

  def new_tasks(self, which: np.ndarray):
    self._ask_all('new_tasks', self._divide(which))

  def restart(self, which: np.ndarray) -> bool:
    return all(self._ask_all('restart', self._divide(which)))

  def _divide(self, batch: Any) -> list[tuple[Any]]:
    """Splits a batch into the workers' shares, as arguments of a call."""
    return [
      (tree.map_structure(lambda x, s=s: x[s.start : s.stop], batch),)
      for s in self._shares
    ]

  def observation_spec(self) -> Any:
    return self._observation_spec

  def action_spec(self):
    return self._action_spec

  def render(self, index: int = 0) -> np.ndarray:
    index = range(self._batch_size)[index]
    worker = next(i for i, s in enumerate(self._shares) if index in s)
    self._send(worker, 'render', index - self._shares[worker].start)
    return self._receive(worker)

  def close(self):
    """Closes the environments, and waits until the workers have ended."""
    for pipe in self._pipes:
      pipe.close()
    for process in self._processes:
      process.join(_GRACE)
      if process.exitcode is None:
        process.kill()
        process.join()
    self._pipes, self._processes = [], []

  def _ask_all(
    self, method: str, arguments: Sequence[tuple] | None = None
  ) -> list[Any]:
    """Calls a method in all workers in parallel; returns their results in
    order."""
    workers = range(len(self._shares))
    for i in workers:
      self._send(i, method, *(arguments[i] if arguments else ()))
    return [self._receive(i) for i in workers]

  def _send(self, worker: int, method: str, *arguments):
    if not self._pipes:
      raise RuntimeError(f'the workers of {self._name} are closed.')
    with contextlib.suppress(OSError):  # It has ended, as `_receive` will find.
      self._pipes[worker].send((method, arguments))

  def _receive(self, worker: int) -> Any:
    """Receives a worker's result."""
    share = self._shares[worker]
    who = (
      f'worker {worker} of {self._name} (environments {share[0]} to '
      f'{share[-1]})'
    )
    try:
      with activity.waiting(lambda: self._describe(worker, who)):
        outcome, answer = self._pipes[worker].recv()
    except (EOFError, OSError):
      process = self._processes[worker]
      process.join(_GRACE)
      outcome, answer = 'failed', f'it ended with exit code {process.exitcode}.'
    if outcome == 'fine':
      return answer
    if outcome == 'refused':
      raise ValueError(answer)
    self.close()
    if outcome == 'failed':
      answer = f'{who} failed: {answer}'
    raise members.Failure(answer)

  def _describe(self, worker: int, who: str) -> str:
    """Describes where in the code a worker hangs, even if it holds the GIL."""
    doing = self._doing[worker].value.decode(errors='replace')
    return f'{who}: {doing}' if doing else f'waiting for {who}'


def _serve(pipe: connection.Connection, doing: ctypes.Array, pickled: bytes):
  """Creates environments and serves calls to them, in a worker."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent handles it.
  threading.Thread(target=_end_with_parent, daemon=True).start()

  def tell(what: str):
    doing.value = what.encode()[: _TEXT - 1]

  activity.current().mirror(tell)
  outcome, made = _attempt(lambda: pickle.loads(pickled)())
  with contextlib.suppress(EOFError, OSError):  # The parent closed the pipe.
    if outcome != 'fine':
      pipe.send((outcome, made))
      return
    while True:
      method, arguments = pipe.recv()
      outcome, answer = _attempt(getattr(made, method), *arguments)
      if outcome == 'failed' and method == 'render':
        outcome = 'refused'
      pipe.send((outcome, answer))
  made.close()


def _end_with_parent():
  """Ends this process when its parent has ended, even during a step.

  The pipe also closes then, but it is only read between steps, and an
  environment may hang.
  """
  parent = multiprocessing.parent_process()
  while os.getppid() == parent.pid:
    parent.join(1.0)
  os._exit(1)


def _join(parts: list[dm_env.TimeStep]) -> dm_env.TimeStep:
  return tree.map_structure(lambda *x: np.concatenate(x), *parts)


def _attempt(function: Callable[..., Any], *arguments) -> tuple[str, Any]:
  """Calls a function; returns whether it succeeded, and its result or error.

  The first is 'fine', 'named' if the error names the environment, or 'failed'.
  """
  try:
    return 'fine', function(*arguments)
  except (members.Failure, contract.Breach) as error:
    traceback.print_exc()
    return 'named', str(error)
  except Exception as error:  # User code may raise anything.
    traceback.print_exc()
    return 'failed', f'{type(error).__name__}: {error}'

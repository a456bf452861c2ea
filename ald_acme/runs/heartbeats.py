"""Detection of stalled nodes by their heartbeats."""

from collections.abc import Callable
import dataclasses
import threading
import time
from typing import Any

from ald_acme import activity

PERIOD = 5.0  # Seconds between the beats of a node.
SILENCE = 2.5 * PERIOD  # Seconds without a beat that mean nothing yet.
_SHORT = 1.0  # Seconds that need no description.
_GAP = 2.0  # Seconds between two looks that count, at most.
PREPARING = 600.0  # Seconds that it may take to start, or to compile.


@dataclasses.dataclass(frozen=True)
class Beat:
  """The last heartbeat of a node.

  Attributes:
    at: seconds that had passed when it arrived.
    idle: seconds for which the node had not moved by then.
    on_others: whether it waited for what other nodes do.
    serves: whether it has no loop of its own that could stop.
    prepares: whether it started, or compiled something.
    doing: what it waited for.
  """

  at: float
  idle: float
  on_others: bool
  serves: bool
  prepares: bool
  doing: str


@dataclasses.dataclass(frozen=True)
class Stall:
  """A stalled node.

  Attributes:
    node: its name.
    seconds: for how long.
    doing: what it waits for.
    silent: whether its process does not answer.
  """

  node: str
  seconds: float
  doing: str
  silent: bool = False

  def __str__(self) -> str:
    return (
      f'node {self.node} has not moved for {self.seconds:.0f} s: {self.doing}'
    )


class Heartbeats:
  """The newest beat of each node.

  Silence counts while there are looks at it. Where these stop, because the
  machine is suspended or too busy, the nodes are not to blame.
  """

  def __init__(
    self, patience: float, clock: Callable[[], float] = time.monotonic
  ) -> None:
    """Starts without any node.

    Args:
      patience: seconds without a move after which a node has stalled.
      clock: seconds now.
    """
    self._patience, self._clock = patience, clock
    self._beats: dict[str, Beat] = {}
    self._looked, self._passed = clock(), 0.0

  def beat(
    self,
    node: str,
    idle: float,
    on_others: bool,
    serves: bool,
    prepares: bool,
    doing: str,
  ) -> None:
    """Takes a node's beat; arguments as of `Beat`."""
    self._beats[node] = Beat(
      self._passed, idle, on_others, serves, prepares, doing
    )

  def stalls(self) -> list[Stall]:
    """The stalled nodes, the longest stall first.

    Processes that do not answer come before nodes that do, which may be waiting
    for them. A node that reports waiting on others is not treated as the cause:
    it is named only when every node is waiting, as in a deadlock of rate
    limiters. Nor is a node that is preparing, for `PREPARING` seconds.
    """
    now = self._clock()
    self._passed += min(now - self._looked, _GAP)
    self._looked = now
    silent: list[Stall] = []
    idle: list[Stall] = []
    waits: list[Stall] = []
    moves = False
    for node, beat in list(self._beats.items()):
      silence = self._passed - beat.at
      patience = self._patience
      if beat.prepares:
        patience = max(patience, PREPARING)
      if silence > max(self._patience, SILENCE):
        said = 'its process does not answer'
        last = f'; last: {beat.doing}' if beat.doing else ''
        silent.append(Stall(node, silence, f'{said}{last}', True))
      elif beat.serves:
        continue
      elif beat.idle <= patience:
        moves = True
      else:  # It may have moved since it told; so the silence is left out.
        stall = Stall(node, beat.idle, beat.doing)
        (waits if beat.on_others else idle).append(stall)
    causes = _longest_first(silent) + _longest_first(idle)
    return causes or ([] if moves else _longest_first(waits))

  def preparing(self) -> list[str]:
    """The nodes that start, or compile something."""
    return [
      node
      for node, beat in list(self._beats.items())
      if beat.prepares and not beat.serves
    ]


def _longest_first(stalls: list[Stall]) -> list[Stall]:
  return sorted(stalls, key=lambda stall: -stall.seconds)


def start(
  node: str,
  beat: Callable[[str, float, bool, bool, bool, str], Any],
  own: activity.Activity,
  serves: bool = False,
  period: float = PERIOD,
) -> threading.Thread:
  """Starts a thread that sends heartbeats of another thread's activity.

  Args:
    node: its name.
    beat: `Heartbeats.beat`, here or of another process.
    own: what to tell of.
    serves: whether the node has no loop of its own that could stop.
    period: seconds between beats.
  """

  def run() -> None:
    while True:
      # Asked before the texts, which may take a call to find out.
      idle, on_others, prepares = own.idle, own.waits_on_others, own.prepares
      doing = own.describe() if idle > min(period, _SHORT) else ''
      try:
        beat(node, idle, on_others, serves, prepares, doing)
      except Exception:  # The monitor starts later, ends earlier or hangs.
        pass
      time.sleep(period)

  thread = threading.Thread(target=run, name='heartbeat', daemon=True)
  thread.start()
  return thread

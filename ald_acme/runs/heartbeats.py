"""Detection of stalled nodes by their heartbeats."""

from collections.abc import Callable
import dataclasses
import threading
import time
from typing import Any

from ald_acme import activity

PERIOD = 5.0  # Seconds between a node's heartbeats.
SILENCE = 2.5 * PERIOD  # Seconds without a heartbeat that are normal.
_SHORT = 1.0  # Seconds; shorter waits are not described.
# Longest time counted between two checks, in seconds: a suspension of the
# watching process itself is not silence of the others.
GAP = 2.0
PREPARING = 600.0  # Seconds allowed for starting or compiling.


@dataclasses.dataclass(frozen=True)
class Beat:
  """The last heartbeat of a node.

  Attributes:
    at: time of arrival, in counted seconds.
    idle: seconds since the node's last step.
    on_others: whether it waited for other nodes.
    serves: whether it has no loop that could hang.
    prepares: whether it was starting or compiling.
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
    node: name of the node.
    seconds: duration of the stall.
    doing: what it waits for.
    silent: whether its process does not respond.
  """

  node: str
  seconds: float
  doing: str
  silent: bool = False

  def __str__(self) -> str:
    return (
      f'node {self.node} has made no progress for {self.seconds:.0f} s: '
      f'{self.doing}'
    )


class Heartbeats:
  """The newest heartbeat of each node.

  Time only counts while it is checked regularly, so that a suspended or
  overloaded machine does not make nodes look stalled.
  """

  def __init__(
    self, patience: float, clock: Callable[[], float] = time.monotonic
  ) -> None:
    """Starts without any node.

    Args:
      patience: seconds without progress after which a node has stalled.
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
    """Records a node's heartbeat; arguments as of `Beat`."""
    self._beats[node] = Beat(
      self._passed, idle, on_others, serves, prepares, doing
    )

  def stalls(self) -> list[Stall]:
    """The stalled nodes, the longest stall first.

    Unresponsive processes come first, because others may wait for them. A node
    that waits for others is reported only if every node waits, as in a deadlock
    of rate limiters, and a node that prepares only after `PREPARING` seconds.
    """
    now = self._clock()
    self._passed += min(now - self._looked, GAP)
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
        said = 'its process does not respond'
        last = f'; last: {beat.doing}' if beat.doing else ''
        silent.append(Stall(node, silence, f'{said}{last}', True))
      elif beat.serves:
        continue
      elif beat.idle <= patience:
        moves = True
      else:  # It may have moved since its last heartbeat.
        stall = Stall(node, beat.idle, beat.doing)
        (waits if beat.on_others else idle).append(stall)
    causes = _longest_first(silent) + _longest_first(idle)
    return causes or ([] if moves else _longest_first(waits))

  def preparing(self) -> list[str]:
    """The nodes that are starting or compiling."""
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
    node: name of the node.
    beat: `Heartbeats.beat`, of this or another process.
    own: the activity to report.
    serves: whether the node has no loop that could hang.
    period: seconds between heartbeats.
  """

  def run() -> None:
    while True:
      # Read before the description, which may need a remote call.
      idle, on_others, prepares = own.idle, own.waits_on_others, own.prepares
      doing = own.describe() if idle > min(period, _SHORT) else ''
      try:
        beat(node, idle, on_others, serves, prepares, doing)
      except Exception:  # The monitor has not started, has ended or hangs.
        pass
      time.sleep(period)

  thread = threading.Thread(target=run, name='heartbeat', daemon=True)
  thread.start()
  return thread

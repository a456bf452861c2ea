"""Gathers the states of all parts of a program for one checkpoint."""

from collections.abc import Callable, Mapping
from typing import Any

from absl import logging
import numpy as np
import tree

from ald_acme.runs import asking
from ald_acme.runs import checkpoints
from ald_acme.runs import counts as run_counts

COUNTS = 'counts'  # Their name in a checkpoint.
_ANSWER = 20.0  # Seconds that parts have to give their states.
_HASTE = 6.0  # The same when a node is gone: others may hang with it.


class Gatherer:
  """Asks all parts for their states at the same time, while they go on."""

  def __init__(
    self,
    savers: Mapping[str, Any],
    counter: Any,
    folder: checkpoints.CheckpointFolder,
    learned: Mapping[str, str],
  ) -> None:
    """Asks nothing yet.

    Args:
      savers: parts with `save`, by the name that their state has.
      counter: an `acme` counter of the whole program.
      folder: of earlier checkpoints.
      learned: for each count of updates the part that does them.
    """
    self._savers, self._counter = savers, counter
    self._folder, self._learned = folder, learned

  def gather(
    self,
    is_gone: Callable[[str], bool],
    failed: bool,
    counts: Mapping[str, float],
    should_stop: Callable[[], bool],
  ) -> dict[str, Any] | None:
    """The states by part, and the counts; None, with a warning, if some lack.

    While no node has failed all parts must answer. When one has, parts that do
    not answer stay as they were last saved.

    Args:
      is_gone: whether a part is not to be asked.
      failed: whether a node has failed.
      counts: the newest that are known.
      should_stop: asked while waiting; true ends the wait.
    """
    calls = {
      name: saver.save
      for name, saver in self._savers.items()
      if not is_gone(name)
    }
    if not is_gone('counter'):
      calls[COUNTS] = self._counter.get_counts
    state, errors = asking.ask_all(
      calls, _HASTE if failed else _ANSWER, should_stop
    )
    counts = dict(state.pop(COUNTS, counts))
    counts.pop(run_counts.STOP_ACTING, None)
    for name, error in errors.items():
      logging.warning('%s does not answer, or refuses (%s).', name, error)
    # The next update will find out; until then the last one is the good one.
    for name in list(state):
      if not all(np.isfinite(x).all() for x in tree.flatten(state[name])):
        logging.warning('%s is not finite.', name)
        del state[name]
    missing = set(self._savers) - set(state)
    if missing and not self._fill(state, missing, failed):
      return None
    # Nodes report their counts with delay; their states are exact.
    for count, part in self._learned.items():
      if 'updates' in state.get(part, {}):
        counts[count] = int(state[part]['updates'])
    return {**state, COUNTS: counts}

  def _fill(
    self, state: dict[str, Any], missing: set[str], failed: bool
  ) -> bool:
    """Adds what was last saved of missing parts; false if that is too little.

    What has updates is learned; other parts may begin anew.
    """
    earlier = self._folder.latest() if failed else None
    saved = earlier.state if earlier else {}
    needed = missing & set(self._learned.values()) if failed else missing
    if not needed <= set(saved):
      logging.warning('No checkpoint: it would lack %s.', sorted(needed))
      return False
    found = missing & set(saved)
    state.update({name: saved[name] for name in found})
    logging.warning('As last saved: %s.', sorted(found))
    return True

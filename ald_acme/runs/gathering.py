"""Collects the states of all parts of a program for a checkpoint."""

from collections.abc import Callable, Mapping
from typing import Any

from absl import logging

from ald_acme.runs import asking
from ald_acme.runs import checkpoints

COUNTS = 'counts'  # Key of the counts in a checkpoint.
ANSWER = 20.0  # Seconds for parts to return their states.
_HASTE = 6.0  # The same after a failure, when other parts may hang too.


class Gatherer:
  """Requests the states of all parts in parallel, while they continue."""

  def __init__(
    self,
    savers: Mapping[str, Any],
    counter: Any,
    folder: checkpoints.CheckpointFolder,
    learned: Mapping[str, str],
  ) -> None:
    """Stores the parts; `gather` requests their states.

    Args:
      savers: parts with `save`, by their names in a checkpoint.
      counter: the program's `acme` counter.
      folder: folder of earlier checkpoints.
      learned: the learning part for each count of updates.
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
    """Returns the states by part, and the counts; None if some are missing.

    All parts must respond, unless a node has failed: then those that do not
    respond keep their last saved state.

    Args:
      is_gone: whether a part, by name, has ended and must be skipped.
      failed: whether a node has failed.
      counts: the newest known counts.
      should_stop: called while waiting; true ends the wait.
    """
    calls = {
      name: saver.save
      for name, saver in self._savers.items()
      if not is_gone(name)
    }
    if not is_gone('counter'):
      calls[COUNTS] = self._counter.get_counts
    state, errors = asking.ask_all(
      calls, _HASTE if failed else ANSWER, should_stop
    )
    counts = dict(state.pop(COUNTS, counts))
    for name, error in errors.items():
      logging.warning('%s does not respond, or fails (%s).', name, error)
    # Training will abort at the next update; keep the last checkpoint.
    for name in list(state):
      try:
        checkpoints.check({name: state[name]})
      except ValueError as error:
        logging.warning('The state of %s is not saved: %s.', name, error)
        del state[name]
    missing = set(self._savers) - set(state)
    if missing and not self._fill(state, missing, failed):
      return None
    # Nodes report counts with a delay; their states are exact.
    for count, part in self._learned.items():
      if 'updates' in state.get(part, {}):
        counts[count] = int(state[part]['updates'])
    return {**state, COUNTS: counts}

  def _fill(
    self, state: dict[str, Any], missing: set[str], failed: bool
  ) -> bool:
    """Adds the last saved states of missing parts; False if one has none.

    After a failure, only learning parts must have one; others may restart.
    """
    earlier = self._folder.latest() if failed else None
    saved = earlier.state if earlier else {}
    needed = missing & set(self._learned.values()) if failed else missing
    if not needed <= set(saved):
      logging.warning('No checkpoint, because %s is missing.', sorted(needed))
      return False
    found = missing & set(saved)
    state.update({name: saved[name] for name in found})
    logging.warning('Keeping the last saved state of %s.', sorted(found))
    return True

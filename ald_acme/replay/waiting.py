"""Logging while a table blocks."""

from collections.abc import Callable
import time

from absl import logging
import reverb

POLL_MS = 500  # Interval of checks of `should_stop` while blocked.
_PATIENCE = 30.0  # Seconds between reports.


class Patience:
  """Logs what a node waits for, after every 30 s of waiting."""

  def __init__(
    self,
    client: reverb.Client,
    table: str,
    side: str,
    patience: float = _PATIENCE,
    clock: Callable[[], float] = time.monotonic,
  ) -> None:
    """Starts the clock.

    Args:
      client: client of the replay server.
      table: name of the table waited on.
      side: 'insert' or 'sample'.
      patience: seconds between reports.
      clock: seconds now.
    """
    self._client, self._table, self._side = client, table, side
    self._patience, self._clock = patience, clock
    self.served()

  def served(self) -> None:
    """Ends the wait."""
    self._since = self._reported = self._clock()

  def waiting(self) -> None:
    """Continues the wait; logs a report if one is due."""
    now = self._clock()
    if now - self._reported < self._patience:
      return
    self._reported = now
    logging.warning(
      'Waiting for %.0f s to %s', now - self._since, self._numbers()
    )

  def describe(self) -> str:
    """The table waited for, and its limiter's numbers."""
    return f'waiting to {self._numbers()}'

  def _numbers(self) -> str:
    numbers = describe(self._client, self._table)
    return f'{self._side} on table {self._table!r}: {numbers}'


def describe(client: reverb.Client, table: str) -> str:
  """The table's size and its limiter's numbers, in one line."""
  try:
    info = client.server_info(timeout=5)[table]
  except (reverb.errors.ReverbError, RuntimeError, KeyError) as error:
    return f'the replay server does not answer ({error}).'
  limiter = info.rate_limiter_info
  inserts = limiter.insert_stats.completed
  samples = limiter.sample_stats.completed
  gap = inserts * limiter.samples_per_insert - samples
  return (
    f'size {info.current_size} of {info.max_size}, {inserts} inserts, '
    f'{samples} samples, samples_per_insert {limiter.samples_per_insert:g}, '
    f'error {gap:g} (samples wait below {limiter.min_diff:g}, inserts above '
    f'{limiter.max_diff:g}), min_size_to_sample {limiter.min_size_to_sample}.'
  )

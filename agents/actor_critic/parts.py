"""Readers, writers and loaders shared by builders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agents import builders
from ald_acme.networks import protocols

# A `reverb.Client`, or a `replay.local.LocalReplay` without a server.
Replay = Any


def reader(
  client: Replay, table: str, batch_size: int, should_stop: builders.ShouldStop
) -> Iterator[list]:
  """Batches of a table's items, from a server or an in-process table."""
  from ald_acme.replay import local
  from ald_acme.replay import reader

  if isinstance(client, local.LocalReplay):
    return local.Reader(client, table, batch_size)
  return reader.Reader(client, table, batch_size, should_stop)


def prefetched(client: Replay, batches: Iterator[Any]) -> Iterator[Any]:
  """A server's batches one ahead on the accelerator, if there is one."""
  from ald_acme.replay import local
  from ald_acme.replay import prefetch

  if isinstance(client, local.LocalReplay):
    return batches  # In-process tables are read without waiting.
  return prefetch.to_accelerator(batches)


def queue_reader(
  client: Replay, queue: str, batch_size: int, should_stop: builders.ShouldStop
) -> Iterator[list]:
  """As `reader` for a queue; gives permits to its writers."""
  from ald_acme.replay import local
  from ald_acme.replay import reader
  from ald_acme.replay import writer

  if isinstance(client, local.LocalReplay):
    return local.Reader(client, queue, batch_size)
  give = writer.Permits(client, queue).give
  return reader.Reader(client, queue, batch_size, should_stop, give)


def queue_writer(
  client: Replay, queue: str, ahead: int, should_stop: builders.ShouldStop
) -> Any:
  """A writer to a replay server or to in-process tables.

  Args:
    client: client of the replay server.
    queue: the queue whose permits it needs.
    ahead: number of items that it may be ahead of the queue's reader.
    should_stop: called while waiting; true ends the wait.
  """
  from ald_acme.replay import local
  from ald_acme.replay import writer

  if isinstance(client, local.LocalReplay):
    return client
  take = writer.Permits(client, queue, ahead, should_stop).take
  return writer.Writer(client, should_stop, take)


def load(network: protocols.Network, state: dict[str, Any], part: str) -> None:
  """Loads the parameters of one part of a checkpoint into a network.

  Raises:
    ValueError: if there is no such part, or its sizes differ.
  """
  from ald_acme.parameters import variables

  try:
    vector = state[part]['variables']
  except (KeyError, IndexError) as error:
    raise ValueError(f'it has no {part}/variables.') from error
  variables.Variables(network.trainable_variables).assign_flat(vector)

"""Readers, writers and loaders that builders share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agents import builders
from ald_acme.networks import protocols

# A `reverb.Client`, or a `replay.local.LocalReplay` where there is no server.
Replay = Any


def reader(
  client: Replay, table: str, batch_size: int, should_stop: builders.ShouldStop
) -> Iterator[list]:
  """Batches of a replay table's items, from a server or from this process."""
  from ald_acme.replay import local
  from ald_acme.replay import reader

  if isinstance(client, local.LocalReplay):
    return local.Reader(client, table, batch_size)
  return reader.Reader(client, table, batch_size, should_stop)


def queue_reader(
  client: Replay, queue: str, batch_size: int, should_stop: builders.ShouldStop
) -> Iterator[list]:
  """As `reader`, of a queue; gives its writers permits."""
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
  """A writer to a replay server, or to the tables of this process.

  Args:
    client: of the replay server.
    queue: whose permits it needs.
    ahead: items that it may be ahead of the queue's reader.
    should_stop: asked while waiting; true ends the wait.
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
    ValueError: if there is no such part, or it is of other sizes.
  """
  from ald_acme.parameters import variables

  try:
    vector = state[part]['variables']
  except (KeyError, IndexError) as error:
    raise ValueError(f'it has no {part}/variables.') from error
  variables.Variables(network.trainable_variables).assign_flat(vector)

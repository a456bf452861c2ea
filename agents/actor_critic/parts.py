"""What builders make of tables and checkpoints."""

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
  """Batches of a table's items, from a server or from this process."""
  from ald_acme.replay import local
  from ald_acme.replay import reader

  if isinstance(client, local.LocalReplay):
    return local.Reader(client, table, batch_size)
  return reader.Reader(client, table, batch_size, should_stop)


def writer(client: Replay, should_stop: builders.ShouldStop) -> Any:
  """What writes items, to a server or within this process."""
  from ald_acme.replay import local
  from ald_acme.replay import writer

  if isinstance(client, local.LocalReplay):
    return client
  return writer.Writer(client, should_stop)


def load(network: protocols.Network, state: dict[str, Any], part: str) -> None:
  """Gives a network the parameters of a checkpoint's part.

  Raises:
    ValueError: if there is no such part, or it is of other sizes.
  """
  from ald_acme.parameters import variables

  try:
    vector = state[part]['variables']
  except (KeyError, IndexError) as error:
    raise ValueError(f'it has no {part}/variables.') from error
  variables.Variables(network.trainable_variables).assign_flat(vector)

"""Errors of a node's loop that are expected at the end of the program."""

import threading

import pytest
import reverb
import tensorflow as tf

from agents import lifecycle


@pytest.fixture
def life(monkeypatch):
  """A node's view of a program that has been told to end."""
  stop, made = threading.Event(), []
  stop.set()
  monkeypatch.setattr(lifecycle.lp, 'stop_event', lambda: stop)
  # In a thread, as in one process: the signals stay as they are.
  thread = threading.Thread(target=lambda: made.append(lifecycle.Lifecycle()))
  thread.start()
  thread.join()
  return made[0]


def _raise(error):
  raise error


@pytest.mark.parametrize(
  'error',
  [
    reverb.errors.ReverbError('The server is gone.'),
    tf.errors.UnavailableError(None, None, 'Socket closed'),
  ],
)
def test_calls_to_ended_nodes_are_ignored_at_the_end(life, error, caplog):
  with caplog.at_level('INFO', logger='absl'):
    life.guard(lambda: _raise(error))
  assert 'during a remote call' in caplog.text


@pytest.mark.parametrize(
  'error',
  [
    ValueError('The environment is broken.'),
    RuntimeError('So is this.'),
    tf.errors.InvalidArgumentError(None, None, 'Shapes differ.'),
  ],
)
def test_other_errors_are_raised_even_at_the_end(life, error):
  with pytest.raises(type(error)) as raised:
    life.guard(lambda: _raise(error))
  assert raised.value is error


def test_a_part_without_a_served_method_is_refused():
  with pytest.raises(TypeError, match=r'object must have .* but lacks save;'):
    lifecycle.Service(object(), ('__init__', 'save'), lambda: None)

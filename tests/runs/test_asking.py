"""Concurrent calls: results, errors, and a common timeout."""

import threading
import time

from ald_acme.runs import asking


def _refuses():
  raise KeyError('no')


def test_answers_and_errors():
  answers, errors = asking.ask_all({'a': lambda: 1, 'b': _refuses}, 30.0)
  assert answers == {'a': 1}
  assert list(errors) == ['b'] and isinstance(errors['b'], KeyError)
  assert asking.ask_all({}, 30.0) == ({}, {})


def test_hanging_calls_share_one_timeout():
  never = threading.Event()
  began = time.monotonic()
  calls = dict.fromkeys('abcd', never.wait)
  answers, errors = asking.ask_all({**calls, 'e': lambda: 5}, 0.3)
  assert time.monotonic() - began < 1.0
  assert answers == {'e': 5}
  assert errors.keys() == set('abcd')
  assert all(isinstance(e, TimeoutError) for e in errors.values())
  began = time.monotonic()
  asking.ask_all({'a': never.wait}, 30.0, should_stop=lambda: True)
  assert time.monotonic() - began < 5.0
  never.set()


class _EndsAfterOneLook(threading.Thread):
  """Is alive when it is first asked, and ends before it is asked again."""

  def __init__(self, *args, **kwargs):
    super().__init__(*args, **kwargs)
    self._looks = 0

  def is_alive(self):
    self._looks += 1
    if self._looks == 1:
      return True
    self.join()
    return False


def test_a_call_that_ends_between_two_looks(monkeypatch):
  monkeypatch.setattr(threading, 'Thread', _EndsAfterOneLook)
  assert asking.ask_all({'a': lambda: 1}, 30.0) == ({'a': 1}, {})

"""Runs without training."""

import os
import runpy

import pytest

FAKE_LAUNCHER = os.path.join(os.path.dirname(__file__), 'fake_launcher.py')


@pytest.fixture(scope='session')
def fake_launcher():
  """Path of a launcher that trains nothing."""
  return FAKE_LAUNCHER


@pytest.fixture(scope='session')
def fake_run():
  """Makes the folder of a finished run."""
  return runpy.run_path(FAKE_LAUNCHER)['finish']

"""Episodes are recorded as they were played, and drawn frame by frame."""

import itertools
import os
import sys

import dm_env
from dm_env import specs
from matplotlib import figure
import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

from ald_acme import distributions
from ald_acme import types
from ald_acme.acting import films
from ald_acme.acting import recording
from ald_acme.environments.batches import stacking
from ald_acme.environments.interface import base
from ald_acme.environments.tasks import i_maze

LIMIT = 3


class Network:
  """Goes down for sure; the value counts the episode's steps."""

  distribution = distributions.from_spec(specs.DiscreteArray(4))

  def initial_state(self, batch_size):
    return tf.zeros([batch_size])

  def __call__(self, inputs, state):
    steps = tf.where(inputs.start_of_episode, 0.0, state) + 1.0
    logits = tf.constant([[0.0, 50.0, 0.0, 0.0]])
    return types.Outputs(logits, steps), steps


class Blind(base.Single):
  """An environment without a picture, whose observation is no window."""

  def observation_spec(self):
    return specs.Array((2,), np.float32)

  def reset(self):
    return self._see(super().reset())

  def step(self, action):
    return self._see(super().step(action))

  def _see(self, timestep):
    return timestep._replace(observation=np.zeros(2, np.float32))

  def render(self):
    raise ValueError('Blind cannot render.')


def _maze():
  return i_maze.BatchedIMaze(size=5, limit=LIMIT, seed=3)


@pytest.fixture
def recorded():
  return recording.record(_maze(), Network(), seed=0)


def test_the_recorded_episode_is_the_played_one(recorded):
  environment = _maze()
  timesteps = [environment.reset()]
  pictures = [environment.render()]
  while timesteps[-1].step_type[0] != int(dm_env.StepType.LAST):
    timesteps.append(environment.step(np.array([1])))
    pictures.append(environment.render())
  steps = len(timesteps) - 1
  assert recorded.length == steps == LIMIT
  inputs = recorded.inputs
  np.testing.assert_array_equal(
    inputs.observation, [t.observation for t in timesteps]
  )
  np.testing.assert_array_equal(inputs.reward, [t.reward for t in timesteps])
  np.testing.assert_array_equal(inputs.action[:, 0], [0] + steps * [1])
  np.testing.assert_array_equal(
    inputs.start_of_episode[:, 0], [True] + steps * [False]
  )
  assert (inputs.action.dtype, inputs.reward.dtype) == (np.int32, np.float32)
  np.testing.assert_array_equal(recorded.pictures, pictures)
  # The network's memory went along.
  np.testing.assert_array_equal(recorded.outputs.value, 1.0 + np.arange(steps))
  assert recorded.outputs.policy.shape == (steps, 4)


def test_actions_are_sampled():
  class Undecided(Network):
    def __call__(self, inputs, state):
      return types.Outputs(tf.zeros([1, 4]), state), state

  def actions(seed):
    environment = i_maze.BatchedIMaze(size=9, limit=40, seed=3)
    return recording.record(environment, Undecided(), seed).inputs.action[1:, 0]

  assert set(actions(0)) == {0, 1, 2, 3}
  np.testing.assert_array_equal(actions(0), actions(0))
  assert not np.array_equal(actions(0), actions(1))


def test_an_episode_without_an_end_is_truncated():
  environment = i_maze.BatchedIMaze(size=9, limit=10_000, seed=3)
  episode = recording.record(environment, Network(), seed=0, max_steps=7)
  assert episode.length == 7
  assert len(episode.inputs.reward) == 8  # With the last time step.


def test_one_environment_at_a_time():
  with pytest.raises(ValueError, match='batch_size=2'):
    recording.record(i_maze.BatchedIMaze(batch_size=2), Network(), seed=0)


def test_a_frame_for_each_time_step(recorded, tmp_path):
  path = tmp_path / 'episode.gif'
  path.write_text('an earlier file')
  films.write(recorded, str(path), fps=20.0)
  with Image.open(path) as gif:
    assert gif.format == 'GIF'
    assert gif.info['duration'] == 50
    assert gif.n_frames == LIMIT + 1
    frames = []
    for i in range(gif.n_frames):
      gif.seek(i)
      frames.append(np.asarray(gif.convert('RGB')))
  for earlier, later in itertools.pairwise(frames):
    assert (earlier != later).any()
  assert [p.name for p in tmp_path.iterdir()] == ['episode.gif']


def _is_in(colour, frame):
  return (np.abs(frame.astype(int) - colour).max(-1) < 12).sum() > 200


def test_the_frame_shows_view_and_environment(recorded, tmp_path):
  """In the first frame both see the indicator; the agent is seen once."""
  path = tmp_path / 'episode.gif'
  films.write(recorded, str(path))
  with Image.open(path) as gif:
    frame = np.asarray(gif.convert('RGB'))
  left, right = np.split(frame, 2, axis=1)
  pink = recorded.inputs.observation[0, 0, 1, 0, 3]
  indicator = (240, 130, 200) if pink else (60, 90, 230)
  assert _is_in(indicator, left)
  assert _is_in(indicator, right)
  agent = (250, 180, 40)
  assert _is_in(agent, right)
  assert not _is_in(agent, left)


def test_environments_that_cannot_render_are_not_drawn(tmp_path):
  environment = stacking.Stacked([Blind(_maze())])
  recorded = recording.record(environment, Network(), seed=0)
  assert recorded.pictures is None
  path = tmp_path / 'episode.gif'
  films.write(recorded, str(path))
  with Image.open(path) as gif:
    assert gif.n_frames == LIMIT + 1


@pytest.mark.parametrize(
  'window',
  [
    np.full((1, 1, 2, 2, 3), 128, np.uint8),
    np.full((1, 1, 2, 2, 3), 2.0, np.float32),
    np.ones((1, 1, 2, 2, 1), np.float32),
    np.ones((1, 1, 2, 2, 25), np.float32),
  ],
)
def test_windows_of_any_channels(recorded, window, tmp_path):
  """Windows are drawn in valid colours, whatever their numbers."""
  steps = recorded.length + 1
  inputs = recorded.inputs._replace(
    observation={'a': np.zeros((steps, 1)), 'b': window.repeat(steps, axis=0)}
  )
  path = tmp_path / 'episode.gif'
  films.write(recorded._replace(inputs=inputs), str(path))
  with Image.open(path) as gif:
    assert gif.n_frames == steps


def test_a_folder_that_does_not_exist(recorded, tmp_path):
  with pytest.raises(FileNotFoundError):
    films.write(recorded, str(tmp_path / 'no' / 'episode.gif'))


def test_an_mp4_goes_through_ffmpeg(recorded, tmp_path, monkeypatch):
  """A stand-in notes what it is given; its output is the file."""
  monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
  program = tmp_path / 'ffmpeg'
  program.write_text(
    '#!/bin/sh\n'
    f'echo "$@" > {tmp_path}/arguments\n'
    'for last; do :; done\n'
    'cat > "$last"\n'
  )
  program.chmod(0o755)
  path = tmp_path / 'episode.mp4'
  films.write(recorded, str(path), fps=10.0)
  arguments = (tmp_path / 'arguments').read_text()
  assert '-r 10 ' in arguments and '-s 512x512' in arguments
  # A frame for each time step, and the last one for two seconds more.
  assert path.stat().st_size == (LIMIT + 1 + 20) * 512 * 512 * 3
  program.write_text('#!/bin/sh\ncat > /dev/null; echo no codec >&2; exit 3\n')
  with pytest.raises(ValueError, match='ffmpeg ended with 3: no codec'):
    films.write(recorded, str(path))
  assert sorted(os.listdir(tmp_path)) == ['arguments', 'episode.mp4', 'ffmpeg']


def test_files_that_cannot_be_drawn(tmp_path, monkeypatch):
  monkeypatch.setenv('PATH', str(tmp_path))
  monkeypatch.setitem(sys.modules, 'imageio_ffmpeg', None)
  with pytest.raises(ValueError, match=r'\.gif or \.mp4'):
    films.check_format('episode.png')
  with pytest.raises(ValueError, match='needs ffmpeg'):
    films.check_format('episode.mp4')


def test_plots_have_labels(recorded, monkeypatch):
  """Labels of actions and axes, the agent's mark, an unobstructed legend."""
  made, original = [], figure.Figure

  def make(**kwargs):
    made.append(original(**kwargs))
    return made[-1]

  monkeypatch.setattr(figure, 'Figure', make)
  *_, last = films._draw(recorded)
  assert last.shape == (512, 512, 3)
  seen, _, value, policy = made[0].axes
  labels = [label.get_text() for label in policy.get_yticklabels()]
  assert labels == ['up', 'down', 'left', 'right']
  assert policy.get_ylabel() == 'probabilities'
  (ring,) = seen.lines
  assert ring.get_xydata().tolist() == [[1, 1]]  # The middle of 3x3.
  renderer = made[0].canvas.get_renderer()
  legend = policy.get_legend().get_window_extent(renderer)
  for axes in (policy, value):
    assert not legend.overlaps(axes.get_window_extent(renderer))
  assert films._text(np.array([2]), 0, recorded.action_names) == 'left'
  assert films._text(np.array([2]), 0, None) == '2'

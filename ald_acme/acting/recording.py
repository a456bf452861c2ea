"""One episode step by step: what was seen, thought and done; and its picture.

The picture is an animated GIF: what the agent sees beside the environment, and
below both its value and its policy along the episode.
"""

from typing import NamedTuple

import dm_env
import numpy as np
import tensorflow as tf
import tree

from ald_acme import distributions
from ald_acme import types
from ald_acme.environments import base
from ald_acme.runs import files

_FIRST, _LAST = int(dm_env.StepType.FIRST), int(dm_env.StepType.LAST)
_MOST_TICKS = 12  # Of actions.
_STEP, _END = 200, 2_000  # Milliseconds that frames are shown; the last longer.
# What the channels of a window are drawn in; the gridworlds' own begin so.
_COLOURS = (
  (60, 60, 60),
  (235, 235, 235),
  (60, 90, 230),
  (240, 130, 200),
  (60, 180, 90),
  (220, 60, 50),
  (240, 160, 60),
  (140, 90, 200),
  (150, 110, 80),
  (90, 200, 220),
)


class Recording(NamedTuple):
  """An episode of T steps.

  Attributes:
    inputs: what the network saw at each of the T + 1 time steps, leaves
      `[T + 1, 1, ...]`. `action[t + 1]` and `reward[t + 1]` are those of step
      t; at the last time step nothing is decided.
    outputs: what it answered, policy `[T, P]` and value `[T]`.
    pictures: of the environment at each time step, uint8
      `[T + 1, height, width, 3]`; None where it cannot be drawn.
    distribution: of the actions.
  """

  inputs: types.Inputs
  outputs: types.Outputs
  pictures: np.ndarray | None
  distribution: distributions.Distribution

  @property
  def length(self) -> int:
    """T."""
    return len(self.outputs.value)


def record(
  environment: base.BatchedEnvironment,
  network,
  seed,
  deterministic: bool = False,
) -> Recording:
  """Plays an episode.

  Args:
    environment: a batch of 1; it is reset.
    network: a `PolicyValueNetwork` whose variables exist.
    seed: of the actions; anything that `np.random.default_rng` takes.
    deterministic: whether to take the distribution's mode instead of samples.

  Raises:
    ValueError: if there is more than one environment.
  """
  if environment.batch_size != 1:
    raise ValueError(
      'record needs one environment, but received batch_size='
      f'{environment.batch_size}; make it with batch_size=1.'
    )
  rng = np.random.default_rng(seed)
  answer = tf.function(lambda *x: network(*x), autograph=False)
  state = network.initial_state(1)
  distribution = network.distribution
  sample = np.zeros((1, *distribution.shape), distribution.dtype)
  inputs, outputs, pictures = [], [], []
  timestep = environment.reset()
  while True:
    seen = types.Inputs(
      observation=timestep.observation,
      action=sample,
      reward=timestep.reward,
      start_of_episode=timestep.step_type == _FIRST,
    )
    inputs.append(tree.map_structure(np.array, seen))
    pictures.append(_picture(environment))
    if timestep.step_type[0] == _LAST:
      break
    output, state = answer(
      tree.map_structure(tf.convert_to_tensor, seen), state
    )
    outputs.append(tree.map_structure(lambda x: x.numpy()[0], output))
    parameters = outputs[-1].policy[np.newaxis]
    if deterministic:
      sample = distribution.mode(parameters)
    else:
      sample = distribution.sample(parameters, rng)
    timestep = environment.step(distribution.to_environment(sample))
  return Recording(
    inputs=_stack(inputs),
    outputs=_stack(outputs),
    pictures=None if pictures[0] is None else np.stack(pictures),
    distribution=distribution,
  )


def write_gif(recording: Recording, path: str):
  """Draws an episode as an animated GIF, a frame for each of T + 1 time steps.

  A panel whose picture there is not (the environment cannot be drawn, or no
  part of the observation is a window `[height, width, channels]`) is left out.

  Args:
    recording: of the episode.
    path: of the file, which appears once it is complete; its folder must exist.
  """
  from PIL import Image  # Drawing takes a second to import.

  frames = [
    Image.fromarray(frame).convert('P', palette=Image.Palette.ADAPTIVE)
    for frame in _draw(recording)
  ]
  with files.atomic(path) as file:
    frames[0].save(
      file,
      format='GIF',
      save_all=True,
      append_images=frames[1:],
      duration=[_STEP] * (len(frames) - 1) + [_END],
      loop=0,
    )


def _picture(environment: base.BatchedEnvironment) -> np.ndarray | None:
  try:
    return environment.render()
  except ValueError:  # It cannot.
    return None


def _stack(steps: list) -> types.Nest:
  return tree.map_structure(lambda *leaves: np.stack(leaves), *steps)


def _windows(observation: types.Nest) -> np.ndarray | None:
  """The first leaf that is a window, as RGB from 0 to 1.

  Args:
    observation: leaves `[T + 1, 1, ...]`.

  Returns:
    `[T + 1, height, width, 3]`, None where no leaf is a window.
  """
  windows = [x[:, 0] for x in tree.flatten(observation) if x.ndim == 5]
  if not windows:
    return None
  window = windows[0]
  if window.dtype == np.uint8:
    window = window / 255
  channels = window.shape[-1]
  if channels == 3:
    return np.clip(window, 0.0, 1.0)
  colours = np.resize(np.array(_COLOURS), (channels, 3)) / 255
  return np.clip(window @ colours, 0.0, 1.0)


def _draw(recording: Recording):
  """Yields the frames, uint8 `[height, width, 3]`."""
  from matplotlib import figure as figures
  from matplotlib.backends import backend_agg

  samples, rewards = recording.inputs.action[1:, 0], recording.inputs.reward[1:]
  actions = recording.distribution.to_environment(samples)
  odds, places = recording.distribution.odds(recording.outputs.policy, samples)
  films = {'what the agent sees': _windows(recording.inputs.observation)}
  films['the environment'] = recording.pictures
  films = {title: film for title, film in films.items() if film is not None}

  figure = figures.Figure(figsize=(6.4, 6.4), dpi=80, layout='constrained')
  canvas = backend_agg.FigureCanvasAgg(figure)
  top, bottom = figure.subfigures(2, height_ratios=(3 if films else 0.2, 2))
  title = top.suptitle(' ')
  panels = np.ravel(top.subplots(1, len(films))) if films else []
  images = []
  for axes, (name, film) in zip(panels, films.items()):
    axes.set_title(name, fontsize='medium')
    axes.set_axis_off()
    images.append((axes.imshow(film[0]), film))
  value, policy = bottom.subplots(2, sharex=True)
  cursors = _draw_answers(value, policy, recording.outputs.value, odds, places)
  canvas.draw()
  figure.set_layout_engine('none')  # Nothing is to move from frame to frame.

  for step in range(recording.length + 1):
    text = f'step {step} of {recording.length}'
    if step < recording.length:
      text += f', action {_text(actions, step)}'
    title.set_text(f'{text}, return so far {rewards[:step].sum():g}')
    for image, film in images:
      image.set_data(film[step])
    for cursor in cursors:
      cursor.set_xdata([step, step])
    canvas.draw()
    yield np.array(canvas.buffer_rgba())[..., :3]


def _text(actions: types.Nest, step: int) -> str:
  """A step's action for people."""
  parts = [
    np.array2string(x[step], precision=2, threshold=8)
    for x in tree.flatten(actions)
  ]
  return ', '.join(parts)


def _draw_answers(value, policy, values, odds, places):
  """Draws value and policy along the episode; gives the cursors on them.

  Args:
    value: axes.
    policy: axes.
    values: `[T]`.
    odds: `[T, R]`, as of `Distribution.odds`.
    places: `[T, K]`, as of `Distribution.odds`.
  """
  steps, rows = odds.shape
  value.plot(values, marker='.')
  value.set_ylabel('value')
  value.grid(alpha=0.3)
  policy.imshow(
    odds.T,
    aspect='auto',
    cmap='Blues',
    vmin=0.0,
    vmax=1.0,
    interpolation='nearest',
  )
  taken = policy.plot(places, '.', color='tab:orange')
  taken[0].set_label('taken')
  policy.set_ylabel('odds of actions')
  if rows <= _MOST_TICKS:
    policy.set_yticks(range(rows))
  policy.set_xlabel('step')
  policy.xaxis.get_major_locator().set_params(integer=True)
  policy.set_xlim(-0.5, steps + 0.5)
  policy.legend(loc='upper right', fontsize='small')
  return [axes.axvline(0, color='tab:red') for axes in (value, policy)]

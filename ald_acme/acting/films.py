"""Recordings of episodes as animated GIF or MP4.

Each frame shows the observation beside the environment, and below them the
value and the policy along the episode.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
import os
import shutil
import subprocess
import typing
from typing import Any, BinaryIO

import numpy as np
import tree

from ald_acme.runs import files

if typing.TYPE_CHECKING:  # These import TensorFlow.
  from ald_acme import types
  from ald_acme.acting import recording

_MOST_TICKS = 12  # Labels of the action axis.
_END = 2  # Seconds that the last frame is shown.
_MP4 = '.mp4'
# Colours of a window's channels, in the order of the gridworlds' channels.
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
_AGENT = (1.0, 0.45, 0.0)  # Colour of the ring around the agent.


def check_format(path: str) -> None:
  """Checks that a file's format can be written here.

  Raises:
    ValueError: if it ends with neither .gif nor .mp4, or there is no ffmpeg.
  """
  form = os.path.splitext(path)[1]
  if form not in ('.gif', _MP4):
    raise ValueError(
      f'a recording must end with .gif or .mp4, but received {path!r}.'
    )
  if form == _MP4 and _ffmpeg() is None:
    raise ValueError(
      f'{path!r} needs ffmpeg, which is not installed; install it from your '
      'system or with pip install imageio-ffmpeg, or choose .gif.'
    )


def write(recording: recording.Recording, path: str, fps: float = 5.0) -> None:
  """Draws an episode, one frame per time step (T + 1).

  It omits the environment's panel if that cannot be rendered, and the
  observation's if no leaf is a window `[height, width, channels]`.

  Args:
    recording: the episode.
    path: file to write, atomically, in an existing folder. It ends with .gif,
      or with .mp4 if ffmpeg is installed.
    fps: time steps per second; the last is shown for two seconds.

  Raises:
    ValueError: as of `check_format`, or if ffmpeg fails.
  """
  check_format(path)
  drawn = _draw(recording)
  with files.atomic(path) as file:
    if path.endswith(_MP4):
      _write_mp4(drawn, file, fps)
    else:
      _write_gif(drawn, file, fps)


def _write_gif(drawn: Iterable[np.ndarray], file: BinaryIO, fps: float) -> None:
  from PIL import Image  # Drawing takes a second to import.

  frames = [
    Image.fromarray(frame).convert('P', palette=Image.Palette.ADAPTIVE)
    for frame in drawn
  ]
  frames[0].save(
    file,
    format='GIF',
    save_all=True,
    append_images=frames[1:],
    duration=[round(1_000 / fps)] * (len(frames) - 1) + [1_000 * _END],
    loop=0,
  )


def _write_mp4(drawn: Iterable[np.ndarray], file: BinaryIO, fps: float) -> None:
  program = _ffmpeg()
  assert program, 'as of check_format'
  frames = list(drawn)
  frames += [frames[-1]] * round(_END * fps)
  height, width, _ = frames[0].shape
  command = [program, '-y', '-loglevel', 'error', '-f', 'rawvideo']
  command += ['-pix_fmt', 'rgb24', '-s', f'{width}x{height}', '-r', f'{fps:g}']
  command += ['-i', '-', '-an', '-pix_fmt', 'yuv420p', '-f', 'mp4', file.name]
  pixels = b''.join(np.ascontiguousarray(frame).tobytes() for frame in frames)
  done = subprocess.run(command, input=pixels, capture_output=True, check=False)
  if done.returncode:
    said = done.stderr.decode(errors='replace').strip() or 'no error message'
    raise ValueError(f'ffmpeg ended with {done.returncode}: {said}')


def _ffmpeg() -> str | None:
  """Path of the system's ffmpeg or of imageio's; None without either."""
  found = shutil.which('ffmpeg')
  if found:
    return found
  try:
    import imageio_ffmpeg

    return imageio_ffmpeg.get_ffmpeg_exe()
  except (ImportError, RuntimeError):
    return None


def _windows(observation: types.Nest) -> np.ndarray | None:
  """The first leaf that is a window, as RGB from 0 to 1.

  Args:
    observation: leaves `[T + 1, 1, ...]`.

  Returns:
    `[T + 1, height, width, 3]`; None if no leaf is a window.
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


def _draw(recording: recording.Recording) -> Iterator[np.ndarray]:
  """Yields the frames, uint8 `[height, width, 3]`."""
  from matplotlib import figure as figures
  from matplotlib.backends import backend_agg

  samples, rewards = recording.inputs.action[1:, 0], recording.inputs.reward[1:]
  actions = recording.distribution.to_environment(samples)
  odds, places = recording.distribution.odds(recording.outputs.policy, samples)
  found = {
    'what the agent sees': _windows(recording.inputs.observation),
    'the environment': recording.pictures,
  }
  films = {title: film for title, film in found.items() if film is not None}

  figure = figures.Figure(figsize=(6.4, 6.4), dpi=80, layout='constrained')
  canvas = backend_agg.FigureCanvasAgg(figure)
  top, bottom = figure.subfigures(2, height_ratios=(3 if films else 0.2, 2))
  title = top.suptitle(' ')
  panels = [*np.ravel(top.subplots(1, len(films)))] if films else []
  images = []
  for axes, (name, film) in zip(panels, films.items()):
    axes.set_title(name, fontsize='medium')
    axes.set_axis_off()
    images.append((axes.imshow(film[0]), film))
    if recording.agent and film is not recording.pictures:
      row, column = recording.agent
      axes.plot(column, row, 'o', markersize=12, fillstyle='none', color=_AGENT)
  value, policy = bottom.subplots(2, sharex=True)
  names = recording.action_names
  cursors = _draw_answers(
    value, policy, recording.outputs.value, odds, places, names
  )
  canvas.draw()
  figure.set_layout_engine('none')  # Keep the layout fixed between frames.

  for step in range(recording.length + 1):
    text = f'step {step} of {recording.length}'
    if step < recording.length:
      text += f', action {_text(actions, step, names)}'
    title.set_text(f'{text}, return so far {rewards[:step].sum():g}')
    for image, film in images:
      image.set_data(film[step])
    for cursor in cursors:
      cursor.set_xdata([step, step])
    canvas.draw()
    yield np.array(canvas.buffer_rgba())[..., :3]


def _text(actions: types.Nest, step: int, names: Sequence[str] | None) -> str:
  """Formats a step's action."""
  if names:
    return names[int(actions[step])]
  parts = [
    np.array2string(x[step], precision=2, threshold=8)
    for x in tree.flatten(actions)
  ]
  return ', '.join(parts)


def _draw_answers(
  value: Any,
  policy: Any,
  values: np.ndarray,
  odds: np.ndarray,
  places: np.ndarray,
  names: Sequence[str] | None,
) -> list[Any]:
  """Plots value and policy along the episode; returns their cursors.

  Args:
    value: axes.
    policy: axes.
    values: `[T]`.
    odds: `[T, R]`, from `Distribution.odds`.
    places: `[T, K]`, from `Distribution.odds`.
    names: names of the actions; None to number them.
  """
  steps, rows = odds.shape
  value.plot(values, marker='.')
  value.set_ylabel('value, normalised')
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
  policy.set_ylabel('probabilities')
  if rows <= _MOST_TICKS:
    policy.set_yticks(range(rows), labels=names or range(rows))
  policy.set_xlabel('step')
  policy.xaxis.get_major_locator().set_params(integer=True)
  policy.set_xlim(-0.5, steps + 0.5)
  policy.legend(  # Above the curve, not on it.
    loc='lower right',
    bbox_to_anchor=(1.0, 1.0),
    fontsize='small',
    borderpad=0.2,
  )
  return [axes.axvline(0, color='tab:red') for axes in (value, policy)]

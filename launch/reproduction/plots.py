"""Plots of results. Matplotlib is imported at the first plot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import dataclasses
import operator
import textwrap
import typing

import numpy as np

from ald_acme.runs import files
from ald_acme.runs import statistics
from launch.campaigns import results
from launch.campaigns import tables

if typing.TYPE_CHECKING:
  from matplotlib import axes as matplotlib_axes
  from matplotlib import axis as matplotlib_axis

  Axes = matplotlib_axes.Axes
  Panels = Sequence[matplotlib_axes.Axes]

Groups = Sequence[results.Group]
LOCAL_OPTIMUM = 0.5  # Return of entering a random goal in a maze.
_POINTS = 201  # Points of a curve.
_STYLE = {
  'axes.axisbelow': True,
  'axes.grid': True,
  'axes.spines.right': False,
  'axes.spines.top': False,
  'axes.titlesize': 9,
  'figure.constrained_layout.use': True,
  'font.size': 10,
  'grid.alpha': 0.3,
  'legend.frameon': False,
  'svg.hashsalt': 'ald_acme',  # Equal drawings make equal files.
}
_HEIGHT, _WIDTH = 4.2, 7.0  # Inches, of one panel.
_RETURN = 'evaluation return of the acting policy'


@contextlib.contextmanager
def drawing(
  panels: int, title: str, caption: str, path: str, height: float = _HEIGHT
) -> Iterator[list[Axes]]:
  """A row of axes to draw on, saved as PNG and SVG.

  Args:
    panels: number of axes.
    title: title above them.
    caption: text below them.
    path: path of the files without their extensions.
    height: height of the figure in inches.

  Yields:
    A list of matplotlib axes.
  """
  import matplotlib  # Takes a second.

  matplotlib.use('Agg')
  from matplotlib import pyplot

  with matplotlib.rc_context(_STYLE):
    width = _WIDTH if panels == 1 else 5.2 * panels
    figure, axes = pyplot.subplots(
      1, panels, figsize=(width, height), squeeze=False
    )
    try:
      yield list(axes[0])
      figure.suptitle(textwrap.fill(title, int(width * 12)), fontsize=10)
      caption = textwrap.fill(caption, int(width * 16))
      figure.supxlabel(caption, fontsize=8, color='0.35')
      for ending, options in (
        ('png', {'dpi': 120}),
        ('svg', {'metadata': {'Date': None}}),
      ):
        with files.atomic(f'{path}.{ending}') as file:
          figure.savefig(file, format=ending, **options)
    finally:
      pyplot.close(figure)


def against_frames(axes: Axes, groups: Groups, solvable: bool) -> None:
  """Learning curves against environment frames."""
  for group in groups:
    _curve(axes, group, 'frames', np.linspace(0, group.max_frames, _POINTS))
  _over_frames(axes)
  _finish_curves(axes, solvable)


def adaptation(panels: Panels, groups: Groups, solvable: bool) -> None:
  """Returns of a trial's first and last episode, a panel for each method."""
  for axes, group in zip(panels, groups):
    grid = np.linspace(0, group.max_frames, _POINTS)
    for ys, label, colour in (
      ('last_returns', 'last episode of a trial', group.colour),
      ('first_returns', 'first episode', '0.5'),
    ):
      _curve(axes, group, 'frames', grid, ys, label, colour)
    axes.set_title(f'{group.title}: {tables.seeds(group)} seeds')
    _over_frames(axes)
    _finish_curves(axes, solvable)


def against_seconds(axes: Axes, groups: Groups, solvable: bool) -> None:
  """Learning curves against wall-clock time, up to the end of the first run."""
  for group in groups:
    # Older runs have no times.
    timed = [r for r in group.results if np.isfinite(r.seconds).any()]
    if len(timed) < len(group.results):
      title = f'{group.title} ({len(timed)} of {len(group.results)} timed)'
      group = dataclasses.replace(group, title=title, results=timed)
    end = min((np.nanmax(r.seconds) for r in timed), default=0)
    _curve(axes, group, 'seconds', np.linspace(0, end, _POINTS))
  axes.set_xlabel('seconds since the launch')
  _finish_curves(axes, solvable)


def each_seed(panels: Panels, groups: Groups, solvable: bool) -> None:
  """A thin line for each run, a panel for each method; all have one scale."""
  end = max(group.max_frames for group in groups)
  for axes, group in zip(panels, groups):
    for result in group.results:
      axes.plot(result.frames, result.returns, color=group.colour, linewidth=1)
    reference(axes, LOCAL_OPTIMUM, 'local optimum 0.5')
    axes.set_title(f'{group.title}: {tables.seeds(group)} seeds')
    axes.set_xlim(0, end)
    _over_frames(axes)
    _finish_returns(axes, solvable)


def reference(axes: Axes, value: float, label: str) -> None:
  """A dashed line across the axes at a return of reference."""
  axes.axhline(value, color='0.3', linestyle='--', linewidth=1)
  axes.annotate(
    label,
    (1.0, value),
    xycoords=('axes fraction', 'data'),
    horizontalalignment='right',
    verticalalignment='bottom',
    fontsize=8,
    color='0.3',
    bbox={'color': 'white', 'alpha': 0.8, 'pad': 1},
  )


def frames_to_solved(
  axes: Axes, groups: Groups, field: str, label: str
) -> None:
  """Frames to 0.95 against a field of the configuration, on a log axis."""
  settings, medians = [], []
  for group in groups:
    if not group.results:
      continue
    settings.append(group.results[0].config[field])
    medians.append(group.median(operator.attrgetter('frames_to_solved')))
    for result in group.results:
      solved = np.isfinite(result.frames_to_solved)
      axes.plot(
        settings[-1],
        result.frames_to_solved if solved else group.max_frames,
        marker='o' if solved else 'x',
        color=group.colour,
        alpha=0.7,
      )
  solved_at = np.where(np.isfinite(medians), medians, np.nan)
  axes.plot(settings, solved_at, color='0.3', marker='_', markersize=16)
  axes.set_xscale('log', base=2)
  axes.set_xticks(settings, [f'{setting:g}' for setting in settings])
  axes.minorticks_off()
  axes.set_xlabel(label)
  axes.set_ylim(bottom=0)
  _thousands(axes.yaxis)
  axes.set_ylabel('frames to a return of 0.95')
  axes.set_title('a point per seed, cross: not solved; line: median')


def bars(
  axes: Axes,
  groups: Groups,
  value: Callable[[results.Result], float],
  label: str,
  form: str,
) -> None:
  """A bar for each method, with the mean over its runs written above it.

  Args:
    axes: axes to draw on.
    groups: the methods' runs.
    value: returns the value of a run.
    label: description of the value.
    form: format of the value.
  """
  for place, group in enumerate(groups):
    mean, low, high = statistics.estimate(group.values(value))
    if np.isnan(mean):
      continue
    axes.bar(place, mean, color=group.colour, width=0.6)
    top = float(mean)
    if np.isfinite(low):
      axes.errorbar(
        place, mean, [[mean - low], [high - mean]], color='0.2', capsize=4
      )
      top = float(high)
    write_above(axes, place, top, format(float(mean), form))
  wrapper = textwrap.TextWrapper(11, break_long_words=False)
  axes.set_xticks(
    range(len(groups)), [wrapper.fill(group.title) for group in groups]
  )
  axes.set_ylabel(label)
  axes.margins(y=0.12)
  axes.set_ylim(bottom=0)


def scores(
  axes: Axes,
  tasks: Sequence[str],
  methods: dict[str, np.ndarray],
  colours: dict[str, str],
) -> None:
  """A line for each task with a point for each method.

  Args:
    axes: axes to draw on.
    tasks: titles of the tasks, top to bottom.
    methods: returns normalised to [0, 1], float `[tasks]`, by title; NaN is not
      drawn.
    colours: colours of the methods.
  """
  places = np.arange(len(tasks))[::-1]
  shifts = np.linspace(0.25, -0.25, len(methods))
  for shift, (title, values) in zip(shifts, methods.items()):
    axes.plot(
      values, places + shift, 'o', color=colours[title], label=title, ms=5
    )
  axes.axvline(1.0, color='0.3', linestyle='--', linewidth=1)
  axes.set_yticks(places, tasks)
  axes.set_xlim(-0.03, 1.03)
  axes.set_xlabel('normalised return: 0 random, 1 required')
  axes.legend(
    loc='upper center',
    bbox_to_anchor=(0.4, -1.0 / (len(tasks) + 2)),
    ncols=3,
    fontsize=8,
  )


def profiles(
  axes: Axes,
  levels: np.ndarray,
  methods: Mapping[str, np.ndarray],
  colours: Mapping[str, str],
) -> None:
  """Performance profiles: the share of runs above each score.

  Args:
    axes: axes to draw on.
    levels: scores, float `[levels]`.
    methods: shares, float `[levels]`, by title.
    colours: colours of the methods.
  """
  for title, shares in methods.items():
    axes.step(levels, shares, where='post', color=colours[title], label=title)
  axes.set_xlim(0.0, 1.0)
  axes.set_ylim(-0.02, 1.04)
  axes.set_xlabel('normalised return')
  axes.set_ylabel('share of runs above it')


def write_above(axes: Axes, x: float, y: float, text: str) -> None:
  """Writes a text above a point."""
  axes.annotate(
    text,
    (x, y),
    xytext=(0, 4),
    textcoords='offset points',
    horizontalalignment='center',
    fontsize=8,
  )


def _curve(
  axes: Axes,
  group: results.Group,
  xs: str,
  grid: np.ndarray,
  ys: str = 'returns',
  label: str | None = None,
  colour: str | None = None,
) -> None:
  if not group.results:
    return
  mean, low, high = group.curve(xs, grid, ys)
  colour = colour or group.colour
  axes.plot(grid, mean, color=colour, label=label or group.title)
  axes.fill_between(grid, low, high, color=colour, alpha=0.2, linewidth=0)


def _over_frames(axes: Axes) -> None:
  axes.set_xlabel('environment frames')
  _thousands(axes.xaxis)


def _finish_curves(axes: Axes, solvable: bool) -> None:
  axes.set_xlim(left=0)
  _finish_returns(axes, solvable)
  axes.legend()


def _finish_returns(axes: Axes, solvable: bool) -> None:
  axes.set_ylabel(_RETURN)
  if solvable:
    axes.set_ylim(min(axes.dataLim.y0, 0.0) - 0.02, 1.04)


def _thousands(axis: matplotlib_axis.Axis) -> None:
  from matplotlib import ticker

  axis.set_major_formatter(ticker.EngFormatter(sep=''))

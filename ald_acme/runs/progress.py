"""The console output of a run: a live panel or plain lines, then a table."""

import math
import time
from typing import Any

from rich import box
from rich import console as rich_console
from rich import live as rich_live
from rich import panel as rich_panel
from rich import table as rich_table
from rich import text

from ald_acme.runs import folder as run_folder

_WARNING_PERIOD = 60.0  # Seconds between equal warnings.
_LINE_PERIOD = 10.0  # Seconds between plain lines.


def make_console(**arguments: Any) -> rich_console.Console:
  """A console that does not highlight paths and numbers.

  Args:
    **arguments: arguments of `rich.console.Console`.
  """
  return rich_console.Console(
    highlight=False, markup=False, soft_wrap=True, **arguments
  )


class Screen:
  """Displays progress: a live panel on a terminal, otherwise periodic lines."""

  def __init__(self, console: rich_console.Console) -> None:
    self._console = console
    self._live: rich_live.Live | None = None
    self._next_line = 0.0

  def __enter__(self) -> 'Screen':
    if self._console.is_terminal:
      self._live = rich_live.Live(
        console=self._console, refresh_per_second=4, transient=True
      )
      self._live.start()
    return self

  def __exit__(self, *_: Any) -> None:
    if self._live:
      self._live.stop()

  def print(self, line: str) -> None:
    """Prints a permanent line, above the live panel."""
    self._console.print(line, highlight=False, markup=False, soft_wrap=True)

  def show(self, live: rich_console.RenderableType, line: str) -> None:
    """Shows `live` on a terminal, otherwise `line`."""
    if self._live:
      self._live.update(live)
    elif time.monotonic() >= self._next_line:
      self._next_line = time.monotonic() + _LINE_PERIOD
      self.print(line)


class Display:
  """Shows the newest progress of a run."""

  def __init__(
    self, folder: run_folder.RunFolder, console: rich_console.Console
  ) -> None:
    self._folder = folder
    self._screen = Screen(console)
    self._began = time.monotonic()
    self._warned: dict[str, float] = {}
    self._stalled: set[str] = set()  # Nodes.

  def __enter__(self) -> 'Display':
    self._screen.__enter__()
    return self

  def __exit__(self, *exception: Any) -> None:
    self._screen.__exit__(*exception)

  def warn(self, about: str, text: str) -> None:
    """Prints a warning above the panel, unless it repeats a recent one.

    Args:
      about: subject of the warning; at most one warning per minute and subject.
      text: the warning.
    """
    now = time.monotonic()
    if now >= self._warned.get(about, 0.0) + _WARNING_PERIOD:
      self._warned[about] = now
      self._screen.print(f'warning: {text}')

  def show(self, progress: dict[str, Any] | None) -> None:
    """Shows the contents of progress.json; None while there is none."""
    stalls = (progress or {}).get('stalls', {})
    for node in self._stalled - stalls.keys():
      self._warned.pop(node, None)  # Report the next stall immediately.
    self._stalled = set(stalls)
    for node, stall in stalls.items():
      self.warn(node, stall)
    if progress is None:
      seconds = time.monotonic() - self._began
      progress = {'state': 'starting', 'wall_seconds': seconds}
    fields = (f'{name} {value}' for name, value in _fields(progress) if value)
    self._screen.show(self._panel(progress), '  '.join(fields))

  def _panel(self, progress: dict[str, Any]) -> rich_panel.Panel:
    grid = rich_table.Table.grid(padding=(0, 2))
    fields = [(n, v) for n, v in _fields(progress) if v]
    half = math.ceil(len(fields) / 2)
    for left, right in zip(
      fields[:half], fields[half:] + [('', '')] * (len(fields) % 2)
    ):
      # Styled texts, because the console does not parse markup.
      grid.add_row(
        text.Text(left[0], 'dim'),
        text.Text(left[1]),
        text.Text(right[0], 'dim'),
        text.Text(right[1]),
      )
    return rich_panel.Panel(
      grid, title=text.Text(self._folder.path), expand=False
    )


def _fields(progress: dict[str, Any]) -> list[tuple[str, str]]:
  """Formatted names and values; empty if not known yet."""

  def number(name: str, form: str) -> str:
    value = progress.get(name)
    return '' if value is None else format(value, form)

  frames = number('frames', ',')
  if frames and progress.get('max_frames'):
    share = progress['frames'] / progress['max_frames']
    frames += f' of {progress["max_frames"]:,} ({share:.0%})'
  eta = progress.get('eta_seconds')
  return [
    ('', progress['state']),
    ('time', duration(progress['wall_seconds'])),
    ('frames', frames),
    ('frames/s', number('frames_per_second', ',.0f')),
    ('actor return', number('actor_return', '.3f')),
    ('learner return', number('learner_return', '.3f')),
    *progress.get('shown', {}).items(),
    ('preparing', ', '.join(progress.get('preparing', []))),
    ('ETA', '' if eta is None else duration(eta)),
  ]


def duration(seconds: float) -> str:
  """'1:02:03' or '2:03'."""
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f'{hours}:{minutes:02d}:{seconds:02d}'
  return f'{minutes}:{seconds:02d}'


def print_summary(
  summary: dict[str, Any],
  folder: run_folder.RunFolder,
  checkpoint: str | None,
  console: rich_console.Console,
) -> None:
  """Prints a run's summary.json as a table, and the paths of its files."""
  table = rich_table.Table(box=box.SIMPLE, show_header=False)
  for name, value in summary.items():
    if isinstance(value, float):
      value = f'{value:,.4g}' if abs(value) < 1000 else f'{value:,.0f}'
    elif isinstance(value, int) and name != 'seed':
      value = f'{value:,}'
    missing = 'never' if name.startswith('solved') else '-'
    table.add_row(name, missing if value is None else str(value))
  console.print(table)
  for name, path in (
    ('learning curve', folder.learning_curve),
    ('checkpoint', checkpoint),
    ('summary', folder.summary),
  ):
    console.print(
      f'{name}: {path or "none"}', highlight=False, markup=False, soft_wrap=True
    )

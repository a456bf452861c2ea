"""The catalogue of figures: the runs of each, and how it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import operator

from launch.campaigns import tables
from launch.reproduction import extrapolation
from launch.reproduction import figures
from launch.reproduction import latency_figure
from launch.reproduction import peers
from launch.reproduction import plots
from launch.reproduction import scoreboard
from launch.reproduction import scoreboard_rows
from launch.reproduction import tasks_figure

# In Meta-Fetch; `python -m ald_acme.environments.tasks.experts` prints it.
_SCRIPTED = 39.2
_WITHOUT = (
  'Chance is the return of a network without a memory. All networks receive '
  f'the observation, the last action and the last reward. {figures.MEANS}'
)


def _curves(axes: plots.Panels, groups: plots.Groups, solvable: bool) -> None:
  plots.against_frames(axes[0], groups, solvable)


def _maze(axes: plots.Panels, groups: plots.Groups, solvable: bool) -> None:
  _curves(axes, groups, solvable)
  plots.reference(axes[0], plots.LOCAL_OPTIMUM, 'local optimum 0.5')


def _meta_fetch(
  axes: plots.Panels, groups: plots.Groups, solvable: bool
) -> None:
  _curves(axes, groups, solvable)
  plots.reference(axes[0], _SCRIPTED, f'scripted agent {_SCRIPTED}')


def _wall_clock(
  axes: plots.Panels, groups: plots.Groups, solvable: bool
) -> None:
  plots.against_seconds(axes[0], groups, solvable)


def _dprl(axes: plots.Panels, groups: plots.Groups, solvable: bool) -> None:
  label = 'DpRL: distillation updates per learner update'
  groups = [
    dataclasses.replace(
      group, title=f'ALD, DpRL {group.results[0].config["dprl"]:g}'
    )
    for group in groups
    if group.results
  ]
  plots.frames_to_solved(axes[0], groups, 'dprl', label)
  plots.against_frames(axes[1], groups, solvable)


def _cores(axes: plots.Panels, groups: plots.Groups, solvable: bool) -> None:
  plots.against_frames(axes[0], groups, solvable)
  plots.against_seconds(axes[1], groups, solvable)


def _hogwild(axes: plots.Panels, groups: plots.Groups, solvable: bool) -> None:
  plots.against_frames(axes[0], groups, solvable)
  rate = operator.attrgetter('actor_update_rate')
  plots.bars(axes[1], groups, rate, 'actor updates per second', '.1f')


def _ablations(
  axes: plots.Panels, groups: plots.Groups, solvable: bool
) -> None:
  plots.against_frames(axes[0], groups, solvable)
  end = tables.shortest(groups)
  label = f'mean return up to {end:,} frames'
  plots.bars(axes[1], groups, lambda result: result.area(end), label, '.2f')


def _task(
  task: str, title: str, methods: Sequence[str] = ('ald',)
) -> figures.LearningFigure:
  """One task of a figure with several."""
  return figures.LearningFigure(task, title, task, methods, _curves)


FIGURES: dict[str, figures.Figure] = {
  figure.name: figure
  for figure in (
    figures.LearningFigure(
      'i_maze_9',
      'Learning the 9x9 I-Maze: ALD, its two networks alone, and an LSTM that '
      'acts with a GTrXL as its critic.',
      'i_maze_9',
      ['ald', 'gtrxl', 'lstm', 'asymmetric'],
      _maze,
    ),
    figures.LearningFigure(
      'i_maze_15',
      'Learning the 15x15 I-Maze.',
      'i_maze_15',
      ['ald', 'gtrxl', 'lstm'],
      _maze,
    ),
    figures.LearningFigure(
      'i_maze_15_seeds',
      'Learning the 15x15 I-Maze, by seed: which runs leave the local optimum.',
      'i_maze_15',
      ['ald', 'gtrxl', 'lstm'],
      plots.each_seed,
      panels=3,
      reading='A line for each seed, not smoothed.',
    ),
    figures.LearningFigure(
      'meta_fetch',
      'Learning Meta-Fetch, by trial and error within each episode.',
      'meta_fetch',
      [
        'ald',
        'gtrxl',
        'gtrxl_regularised',
        'lstm',
        'lstm_regularised',
        'memoryless',
      ],
      _meta_fetch,
    ),
    figures.LearningFigure(
      'popgym_repeat',
      'POPGym, RepeatPreviousEasy: name the suit shown three cards ago.',
      'popgym_repeat',
      ['ald', 'ald_no_features', 'lstm', 'memoryless'],
      _curves,
      reading=_WITHOUT,
    ),
    figures.LearningFigure(
      'long_memory',
      'bsuite, memory_len: repeat a bit shown 100 steps ago. Unrolls have 20 '
      'steps.',
      'long_memory',
      ['ald', 'ald_no_features', 'gtrxl', 'lstm'],
      _curves,
    ),
    figures.LearningFigure(
      'bsuite_memory',
      'bsuite, memory_len: repeat a bit shown 30 steps ago.',
      'bsuite_memory',
      ['ald', 'lstm', 'memoryless'],
      _curves,
      reading=_WITHOUT,
    ),
    figures.LearningFigure(
      'wall_clock',
      'Learning the 9x9 I-Maze, against time on one machine.',
      'i_maze_9',
      ['ald', 'gtrxl', 'lstm'],
      _wall_clock,
    ),
    figures.LearningFigure(
      'dprl',
      'More distillation per learner update: frames to solve the 9x9 I-Maze.',
      'i_maze_9',
      ['ald_dprl_0.25', 'ald_dprl_0.5', 'ald', 'ald_dprl_3', 'ald_dprl_6'],
      _dprl,
      panels=2,
      reading=f'"ALD" has DpRL 1.5. {figures.MEANS}',
    ),
    figures.LearningFigure(
      'hogwild',
      'More distillers that update one actor without locks, on the 9x9 I-Maze.',
      'i_maze_9',
      ['ald', 'ald_distillers_2', 'ald_distillers_4'],
      _hogwild,
      panels=2,
      reading=f'"ALD" has one distiller. {figures.MEANS}',
    ),
    figures.LearningFigure(
      'cores',
      'Other cores for the actor and the learner, on the 9x9 I-Maze.',
      'i_maze_9',
      [
        'ald',
        'ald_gru',
        'ald_mingru',
        'ald_lstm_learns',
        'ald_mingru_learns',
      ],
      _cores,
      panels=2,
      reading=f'In "ALD" an LSTM acts and a GTrXL learns. {figures.MEANS}',
    ),
    figures.LearningFigure(
      'trials',
      'Learning to learn (RL^2): trials of five episodes in a 5x5 I-Maze whose '
      'rewarding goal is hidden.',
      'trials',
      ['ald', 'lstm'],
      plots.adaptation,
      panels=2,
    ),
    figures.LearningFigure(
      'ablations',
      'ALD with one part removed or replaced, on the 9x9 I-Maze.',
      'i_maze_9',
      [
        'ald',
        'ald_no_value_distillation',
        'ald_no_features',
        'ald_no_offset',
        'ald_no_regulariser',
        'ald_forward_kl',
        'ald_vmpo',
      ],
      _ablations,
      panels=2,
    ),
    extrapolation.Extrapolation(
      'extrapolation',
      'Policies trained only in the 15x15 I-Maze, played in mazes of 9x9 to '
      '51x51.',
      'i_maze_15',
      'size',
      15,
      [9, 15, 21, 31, 41, 51],
      extrapolation.MAZE_LINES,
      axis='width of the maze',
      written='{0}x{0}',
      without=plots.LOCAL_OPTIMUM,
    ),
    extrapolation.Extrapolation(
      'longer_memory',
      'Policies trained with a delay of 100 steps, played with delays of 50 to '
      '3,000 (bsuite, memory_len).',
      'long_memory',
      'memory_length',
      100,
      [50, 100, 200, 400, 1000, 3000],
      extrapolation.MEMORY_LINES,
      axis='steps between the bit and the question',
      written='{0} steps',
      without=0.0,
    ),
    scoreboard.Scoreboard(
      'scoreboard',
      'One default configuration on every task: ALD, each of its networks '
      'alone, and two other projects with their own defaults.',
      scoreboard_rows.ROWS,
      ['ald', 'gtrxl', 'lstm', 'memoryless'],
      list(peers.PEERS),
    ),
    tasks_figure.TasksFigure(
      'control',
      'Continuous, multi-discrete and masked actions, with the defaults.',
      [
        _task('pendulum', 'Pendulum'),
        _task('pendulum_hidden', 'Pendulum without velocities'),
        _task('cartpole_swingup', 'Cartpole swingup'),
        _task('mine_sweeper', 'MineSweeperEasy'),
        _task('knights_tour', "Knight's tour", ['ald', 'ald_unmasked']),
      ],
    ),
    figures.LearningFigure(
      'privileged',
      'A pendulum whose velocity the actor does not observe; the learner of '
      'one method does.',
      'pendulum_privileged',
      ['ald_privileged', 'ald_hidden'],
      _curves,
    ),
    latency_figure.LatencyFigure(
      'latency',
      'Latency of a step of acting: LSTM and GTrXL, one environment, one CPU '
      'thread; nothing is learned.',
      ['small', 'paper'],
      500,
    ),
  )
}

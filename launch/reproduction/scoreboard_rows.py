"""The tasks of the scoreboard, with the returns required and published."""

from launch.reproduction import scoreboard


def _popgym(
  name: str, title: str, frames: int, bar: float, published: str
) -> scoreboard.Row:
  return scoreboard.Row(
    name,
    f'POPGym {title}',
    f'gymnasium:popgym:popgym-{title}-v0',
    '',
    frames,
    bar,
    published and f'{published}: Morad et al. 2023, table of appendix B',
    package='popgym',
  )


ROWS = (
  scoreboard.Row(
    'cartpole',
    'CartPole-v1',
    'gymnasium:CartPole-v1',
    '',
    200_000,
    475.0,
    'solved at 475: Gymnasium',
    package='gymnasium',
  ),
  scoreboard.Row(
    'acrobot',
    'Acrobot-v1',
    'gymnasium:Acrobot-v1',
    '',
    500_000,
    -100.0,
    'solved at -100: Gymnasium',
    package='gymnasium',
  ),
  scoreboard.Row(
    'i_maze_9', 'I-Maze 9x9', 'i_maze', 'size=9,limit=100', 100_000, 0.95
  ),
  scoreboard.Row(
    'i_maze_15', 'I-Maze 15x15', 'i_maze', 'size=15,limit=250', 450_000, 0.95
  ),
  scoreboard.Row('meta_fetch', 'Meta-Fetch', 'meta_fetch', '', 1_000_000, 29.0),
  scoreboard.Row(
    'bandits',
    'Bandits, 5 arms, 10 pulls',
    'bandit',
    'arms=5,trial_episodes=10',
    2_000_000,
    6.5,
    'RL^2 6.7, Gittins 6.6, UCB1 6.7, Thompson 5.7: Duan et al. 2016, table 1',
  ),
  scoreboard.Row(
    'empty_8x8',
    'MiniGrid-Empty-8x8',
    'minigrid:MiniGrid-Empty-8x8-v0',
    '',
    300_000,
    0.93,
    package='minigrid',
  ),
  scoreboard.Row(
    'doorkey_5x5',
    'MiniGrid-DoorKey-5x5',
    'minigrid:MiniGrid-DoorKey-5x5-v0',
    '',
    1_000_000,
    0.9,
    package='minigrid',
  ),
  scoreboard.Row(
    'memory_s7',
    'MiniGrid-MemoryS7, view 3',
    'minigrid:MiniGrid-MemoryS7-v0',
    'agent_view_size=3',
    3_000_000,
    0.9,
    package='minigrid',
  ),
  _popgym(
    'repeat_first_easy', 'RepeatFirstEasy', 500_000, 0.99, 'GRU 1.00 at 15M'
  ),
  _popgym(
    'repeat_previous_easy',
    'RepeatPreviousEasy',
    500_000,
    0.95,
    'GRU 1.00 at 15M',
  ),
  _popgym(
    'repeat_previous_medium',
    'RepeatPreviousMedium',
    5_000_000,
    0.0,
    'GRU -0.315, best of 13 models 0.789, at 15M',
  ),
  _popgym(
    'position_only_cartpole',
    'PositionOnlyCartPoleEasy',
    1_000_000,
    0.99,
    'GRU 1.00 at 15M',
  ),
  _popgym(
    'noisy_position_only_cartpole',
    'NoisyPositionOnlyCartPoleEasy',
    1_000_000,
    0.95,
    'GRU 0.995 at 15M',
  ),
  _popgym(
    'autoencode', 'AutoencodeEasy', 3_000_000, -0.28, 'GRU -0.283 at 15M'
  ),
  _popgym(
    'higher_lower', 'HigherLowerEasy', 3_000_000, 0.52, 'GRU 0.529 at 15M'
  ),
  _popgym(
    'popgym_bandits',
    'MultiarmedBanditEasy',
    3_000_000,
    0.62,
    'GRU 0.619 at 15M',
  ),
  *(
    scoreboard.Row(
      f'bsuite_memory_{length}',
      f'bsuite memory_len {length}',
      'bsuite.experiments.memory_len.memory_len:load',
      f'memory_length={length}',
      frames,
      0.95,
      package='bsuite',
    )
    for length, frames in ((30, 200_000), (100, 1_000_000))
  ),
)

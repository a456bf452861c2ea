"""Moves and rendering shared by gridworlds."""

from dm_env import specs
import numpy as np

ACTIONS = ('up', 'down', 'left', 'right')
UP, DOWN, LEFT, RIGHT = range(len(ACTIONS))
MOVES = np.array([[-1, 0], [1, 0], [0, -1], [0, 1]])  # Rows, columns.
WALL_COLOUR, EMPTY_COLOUR = (60, 60, 60), (235, 235, 235)
_AGENT_COLOUR = (250, 180, 40)
_PIXELS = 12  # Side of a rendered cell.


def action_spec() -> specs.DiscreteArray:
  """The spec of an index into `ACTIONS`."""
  return specs.DiscreteArray(len(ACTIONS), dtype=np.int32, name='action')


def draw(colours: np.ndarray, agent: int) -> np.ndarray:
  """Renders a world from above.

  Args:
    colours: colours of the cells, uint8 `[height, width, 3]`.
    agent: the agent's flat cell.

  Returns:
    uint8 `[12 height, 12 width, 3]`.
  """
  picture = colours.copy()
  picture.reshape(-1, 3)[agent] = _AGENT_COLOUR
  return picture.repeat(_PIXELS, axis=0).repeat(_PIXELS, axis=1)

"""Distributions over the actions of an environment.

Nothing outside this package depends on the kind of a distribution.
"""

from typing import Any

import tree

from ald_acme.distributions import base
from ald_acme.distributions import categorical
from ald_acme.distributions import gaussian
from ald_acme.distributions import joint
from ald_acme.environments.interface import actions

Distribution = base.Distribution


def from_spec(
  action_spec: Any, name: str = 'the environment'
) -> base.Distribution:
  """The policy's distribution for an action spec.

  Args:
    action_spec: a `dm_env.specs.DiscreteArray`, a `BoundedArray` with finite
      bounds, or a nest of them.
    name: name of the environment, for errors.

  Raises:
    ValueError: if a leaf is none of those.
  """
  leaves = [_leaf(part) for part in actions.parts(action_spec, name)]
  if not tree.is_nested(action_spec):
    return leaves[0]
  return joint.Joint(leaves, action_spec)


def _leaf(part: actions.Part) -> base.Distribution:
  if isinstance(part, actions.Continuous):
    return gaussian.SquashedGaussian(part)
  if len(part.sizes) == 1:
    return categorical.Categorical(part)
  return categorical.Categoricals(part)

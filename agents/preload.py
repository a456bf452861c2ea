"""Imports of all nodes, which the fork server does once.

Importing starts no thread and touches no device, so it is safe to fork after.
"""

from ald_acme import processes

with processes.without_collection():
  import acme.tf.variable_utils
  import acme.utils.loggers.tf_summary
  import launchpad
  import launchpad.nodes.reverb.node
  import reverb
  import sonnet
  import tensorflow

  import agents.actor_critic.acting
  import agents.actor_critic.learner_runner
  import agents.actor_critic.learning
  import agents.actor_critic.networks
  import agents.ald.distilling
  import agents.ald.learner_runner
  import agents.ald.networks
  import agents.program
  import ald_acme.acting.evaluator
  import ald_acme.parameters.shared
  import ald_acme.replay.reader
  import ald_acme.replay.tables
  import ald_acme.replay.writer

"""The three tables, and the rate limiter that enforces DpRL."""

import dataclasses

import reverb

QUEUE, LEARNER, DISTILL = 'queue', 'learner', 'distill'


@dataclasses.dataclass(frozen=True)
class Limits:
  """Sizes of the tables, in unroll batches.

  Attributes:
    queue_size: finished unrolls that may wait for the learner runner.
    learner_queue_size: unrolls that may wait for the learner.
    distill_size: unrolls kept for distillation, oldest out first.
    distill_min_size: unrolls needed before distillation begins.
    samples_per_insert: samples from `distill` for each insert.
  """

  queue_size: int
  learner_queue_size: int
  distill_size: int
  distill_min_size: int
  samples_per_insert: float

  @property
  def error_buffer(self) -> float:
    """How far samples may be from their due: the least that Reverb takes."""
    return max(1.0, self.samples_per_insert)


def make_tables(
  limits: Limits, unroll_spec, learner_spec, distill_spec=None
) -> list[reverb.Table]:
  """The tables of the system.

  `queue` and `learner` hand each item on once, in order. `distill` is sampled
  uniformly; its limiter holds samples at `samples_per_insert` times the
  inserts, whichever side is ahead: a runner that is ahead blocks, and with it
  the learner.

  Args:
    limits: sizes and ratio.
    unroll_spec: signature of `queue`.
    learner_spec: signature of `learner`.
    distill_spec: signature of `distill`; None where nothing is distilled, and
      there is no such table.

  Returns:
    Fresh tables for one `reverb.Server`.
  """
  made = [
    reverb.Table.queue(QUEUE, limits.queue_size, signature=unroll_spec),
    reverb.Table.queue(
      LEARNER, limits.learner_queue_size, signature=learner_spec
    ),
  ]
  if distill_spec is not None:
    made.append(
      reverb.Table(
        name=DISTILL,
        sampler=reverb.selectors.Uniform(),
        remover=reverb.selectors.Fifo(),
        max_size=limits.distill_size,
        rate_limiter=reverb.rate_limiters.SampleToInsertRatio(
          samples_per_insert=limits.samples_per_insert,
          min_size_to_sample=limits.distill_min_size,
          error_buffer=limits.error_buffer,
        ),
        signature=distill_spec,
      )
    )
  return made

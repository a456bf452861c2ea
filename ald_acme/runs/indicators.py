"""An agent's values in the progress and the summary of its run."""

from collections.abc import Mapping
import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Metric:
  """The newest value of a column of a node's log.

  Attributes:
    name: name in progress.json.
    label: for people.
    form: format of the displayed number.
    node: node of the log.
    column: column of the log.
  """

  name: str
  label: str
  form: str
  node: str
  column: str


@dataclasses.dataclass(frozen=True)
class Ratio:
  """The ratio of two counts, which the program enforces.

  Attributes:
    name: name in progress.json; with `_configured` and `_measured` in
      summary.json.
    label: for people.
    numerator: name of a count.
    denominator: name of a count.
    configured: configured value.
  """

  name: str
  label: str
  numerator: str
  denominator: str
  configured: float

  def measure(
    self, counts: Mapping[str, float], earlier: Mapping[str, float]
  ) -> float | None:
    """The ratio of the counts since `earlier`; None without any."""
    above, below = (
      counts.get(name, 0) - earlier.get(name, 0)
      for name in (self.numerator, self.denominator)
    )
    return above / below if below else None


@dataclasses.dataclass(frozen=True)
class Indicators:
  """A run's indicators beside frames, returns and time.

  Attributes:
    seed: seed of the run.
    counts: names of counts; each with the part whose state holds the exact
      number as `updates`, because nodes report counts with a delay.
    metrics: metrics from nodes' logs.
    ratio: ratio of counts, if the program enforces one.
    first_update: text for the error of a run that ends without a learner
      update: the frames needed for the first, with the fields that determine
      them; '' if such a run is valid.
  """

  seed: int
  counts: Mapping[str, str] = dataclasses.field(default_factory=dict)
  metrics: tuple[Metric, ...] = ()
  ratio: Ratio | None = None
  first_update: str = ''

  def progress(
    self,
    counts: Mapping[str, float],
    earlier: Mapping[str, float],
    reports: Mapping[str, Mapping[str, float]],
  ) -> dict:
    """The fields of progress.json.

    Args:
      counts: the program's counts.
      earlier: the counts that the ratio is measured from.
      reports: the newest row of each node's log.
    """
    fields: dict[str, float | None] = {}
    shown: dict[str, str] = {}

    def show(name: str, label: str, form: str, value: float | None) -> None:
      fields[name] = value
      if value is not None and math.isfinite(value):
        shown[label] = format(value, form)

    if self.ratio:
      value = self.ratio.measure(counts, earlier)
      show(self.ratio.name, self.ratio.label, '.2f', value)
    for metric in self.metrics:
      value = reports.get(metric.node, {}).get(metric.column)
      show(metric.name, metric.label, metric.form, value)
    return {**fields, **self._counts(counts), 'shown': shown}

  def summary(
    self, counts: Mapping[str, float], earlier: Mapping[str, float]
  ) -> dict:
    """The fields of summary.json; arguments as those of `progress`."""
    fields = {}
    if self.ratio:
      fields = {
        f'{self.ratio.name}_configured': self.ratio.configured,
        f'{self.ratio.name}_measured': self.ratio.measure(counts, earlier),
      }
    return {**fields, **self._counts(counts), 'seed': self.seed}

  def _counts(self, counts: Mapping[str, float]) -> dict[str, int]:
    return {name: int(counts.get(name, 0)) for name in self.counts}

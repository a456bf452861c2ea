"""Launches a program on one machine and watches its processes."""

import subprocess

from absl import flags
import courier
import launchpad as lp

_END = 60.0  # Seconds that the monitor may take to write the end.


class Supervisor:
  """The processes of a program, by the names of their nodes.

  Launchpad's own waiting says that a worker failed, but not which.
  """

  def __init__(self, program: lp.Program, resources, watcher: lp.CourierHandle):
    """Takes a program that was not launched yet.

    Args:
      program: with a monitor node.
      resources: Launchpad's local resources of each group.
      watcher: handle of the monitor.
    """
    self._program, self._resources = program, resources
    self._watcher = watcher
    self._nodes: dict[str, subprocess.Popen] = {}

  def launch(self):
    """Starts the processes; what they print goes to files."""
    if not flags.FLAGS.is_parsed():
      flags.FLAGS.mark_as_parsed()
    flags.FLAGS.lp_termination_notice_secs = 20
    self._manager = lp.launch(
      self._program,
      launch_type=lp.LaunchType.LOCAL_MULTI_PROCESSING,
      terminal='output_to_files',  # Alone lets us see exit codes.
      local_resources=self._resources,
    )
    for label, workers in self._manager._active_workers.items():
      for worker in workers:
        self._nodes[label] = worker

  def failed(self) -> str | None:
    """The name of a node whose process ended badly, None if all is well."""
    for name, process in self._nodes.items():
      if process.poll() not in (None, 0):
        return name
    return None

  def status(self, name: str) -> str:
    """How a node's process ended, in words."""
    code = self._nodes[name].returncode
    return f'signal {-code}' if code < 0 else f'exit code {code}'

  def ended(self) -> bool:
    """Whether the program came to its own end."""
    return all(process.poll() is not None for process in self._nodes.values())

  def request_stop(self, reason: str):
    """Has the monitor save and write the end, if it is there to."""
    monitor = next(n for n in self._nodes if n.startswith('monitor'))
    if self._nodes[monitor].poll() is not None:
      return
    client = courier.Client(
      self._watcher._address.resolve(), call_timeout=_END, wait_for_ready=False
    )
    try:
      client.request_stop(reason)
      client.wait_for_end(_END)
    except Exception:  # It had not started, or hangs; nothing to be saved.
      pass

  def stop(self):
    """Ends every process and waits for them."""
    self._manager.stop_and_wait()

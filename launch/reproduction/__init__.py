"""The parts of `launch/reproduce.py` and `sweep.py`: runs, results, figures."""

"""The figures of `launch/reproduce.py`: their runs, and how they are drawn."""

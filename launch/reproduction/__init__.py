"""What `launch/reproduce.py` is made of: runs, what they say, figures."""

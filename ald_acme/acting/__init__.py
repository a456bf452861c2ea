"""Acting: compiled policies, evaluation and recording of episodes."""

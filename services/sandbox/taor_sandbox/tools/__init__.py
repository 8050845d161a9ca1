"""The tools of a build: what each takes, does, and says to the model."""

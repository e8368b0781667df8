"""Runs without a card: what `compare` and `score` answer from."""

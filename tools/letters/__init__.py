"""Builds the table of letter triples that tells spelling from noise."""

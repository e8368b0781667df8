"""Runs made elsewhere: files of neighbouring programs, read for a card and a submission."""

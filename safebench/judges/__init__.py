"""Judges: what a response did, or whether it is right. interface.py is the file to read first."""

"""Runs that were made elsewhere, as a submission: what they say, checked, judged, written."""

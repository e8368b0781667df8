"""Makes a submission of runs that were made elsewhere: checked, judged, scored, written."""

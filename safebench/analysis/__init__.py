"""Reading what was measured: numbers of submissions, without what runs models."""

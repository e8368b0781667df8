"""A submission in neighbours' formats: one module per format."""

"""Scripts that make files of the project; not in the wheel."""

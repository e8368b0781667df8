"""Judges that are prompted: their templates, what is asked, and how an output is read."""

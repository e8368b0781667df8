"""The embedded model, its data and its plan: files alone."""

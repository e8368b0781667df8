"""Builds the embedded model, its data and the prompts of our own tasks from word lists."""

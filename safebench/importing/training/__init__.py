"""Files that a training run leaves: arguments, states, adapters."""

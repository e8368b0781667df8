"""How a submission's report is shown; `interface` is where to start."""

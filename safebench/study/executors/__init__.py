"""Where the units of a study are done: in this process, in others on this machine, on a cluster."""

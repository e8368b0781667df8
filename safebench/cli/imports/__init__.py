"""`safebench import`: one small file per neighbour's format."""

"""Files of neighbouring programs, read for what a card asks: one module per neighbour."""

"""Files of lm-eval: results, and the samples logged with them."""

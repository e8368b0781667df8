"""Files of lm-eval: results, and samples logged beside them."""

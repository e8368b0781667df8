"""Fine-tuning. interface.py is the file to read first."""

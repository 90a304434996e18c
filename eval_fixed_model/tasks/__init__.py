"""The tasks: what a trained judge is asked. Each returns, per item, whether it was right and how sure it was of the right answer."""

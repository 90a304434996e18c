"""One training: its steps, gradients, processes and checkpoints, and the loop of each modality."""

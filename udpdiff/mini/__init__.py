"""How the mini checkpoints are trained. Only `scripts.train_mini` imports it; what ships lies in `udpdiff.checkpoints`."""

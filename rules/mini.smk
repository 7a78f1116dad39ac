# The mini checkpoints, trained again from nothing on scenes: hours on a CPU, and never part of `all`.

"""What may stand in a configuration, and how its files are read."""

"""From a configuration to files, jobs and tables: what the rules ask."""

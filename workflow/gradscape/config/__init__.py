"""From a configuration file to studies and runs."""

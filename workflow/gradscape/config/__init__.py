"""Configuration files, read and expanded into studies and runs."""

"""Ground floor: errors, whole files, locks, paths, downloads."""

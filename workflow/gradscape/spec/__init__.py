"""The definition of a run: settings and options, the names they may use, studies."""

"""What a run is: settings and their options, the names they may use, runs, studies."""

"""How a run is trained, resumed and recorded."""

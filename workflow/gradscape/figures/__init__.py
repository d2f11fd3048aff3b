"""The figures: one file each, from finished runs to matplotlib. No torch here.

The file's function takes a `Figure`, its finished runs and its options. It returns the
picture and a few sentences of facts about it (seeds, rates, smoothing), which the report
adds to the caption. `PROBES` names the probes that it draws.
"""

import os

# A notebook's shell names a backend that is not installed here; importing matplotlib fails.
os.environ["MPLBACKEND"] = "pdf"

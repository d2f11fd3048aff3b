"""A progress bar for a grid of runs, and the command line that people write.

`snakemake --logger gradscape …` shows one bar for all jobs with the time left, a line for
each training that ends, and one sentence and the log for each job that fails.

Snakemake imports its logger plugins before it reads its arguments. This makes it possible
to have `snakemake --cores 1 --configfile FILE all` work as written (see `arguments.py`),
and to say a misspelt target or a locked folder in one sentence, whichever logger is chosen
(see `advice.py`). Other Snakefiles than gradscape's are left alone.
"""

import sys

from snakemake_logger_plugin_gradscape.arguments import mend
from snakemake_logger_plugin_gradscape.handler import LogHandler

__all__ = ["LogHandler"]

mend(sys.argv)

"""Files from the network: whole and with the right hash, or an error within minutes."""

import errno
import hashlib
import http.client
import time
from pathlib import Path
from urllib.request import Request, urlopen

from tqdm import tqdm

from gradscape.base.files import atomic_write, number_of

PATIENCE = 30.0  # seconds in which a server may say nothing
SLOWEST = 20_000  # bytes a second, after the first PATIENCE
MAX_BYTES = 2**32


class Failed(Exception):
    """The file did not come, or not with the right hash."""


def fetch(url: str, path: Path, kind: str, digits: str) -> None:
    """Download to `path`, which appears whole or not at all; `digits` are the first of its
    hash, of the kind `md5` or `sha256`. Raises `Failed`, also for a server that stalls,
    trickles or never ends, for which torch's downloaders would wait."""
    found, start = hashlib.new(kind), time.monotonic()
    request = Request(url, headers={"User-Agent": "gradscape"})
    with atomic_write(path) as partial, partial.open("wb") as file:
        try:
            with (
                urlopen(request, timeout=PATIENCE) as answer,
                tqdm(total=answer.length, unit="B", unit_scale=True, disable=None) as bar,
            ):
                while block := answer.read1(2**16):
                    file.write(block)
                    found.update(block)
                    bar.update(len(block))
                    seconds = time.monotonic() - start
                    if file.tell() < (seconds - PATIENCE) * SLOWEST:
                        raise Failed(f"{url} sends less than {SLOWEST:,} bytes a second")
                    if file.tell() > MAX_BYTES:
                        raise Failed(f"{url} does not end")
        except (OSError, http.client.HTTPException) as error:
            if number_of(error, path.parent) == errno.ENOSPC:
                raise
            raise Failed(f"{url}: {error}") from None
        if not found.hexdigest().startswith(digits):
            raise Failed(f"{url} sends other bytes: their {kind} is {found.hexdigest()}")

"""The one exception meant for the user's eyes, and what its sentences share."""

import difflib
import errno
from collections.abc import Iterable

LONGEST = 500  # letters of a sentence; a value in it may be a whole book
LINE = str.maketrans(dict.fromkeys("\n\r\x0b\x0c\x85\u2028\u2029", " "))


class GradscapeError(Exception):
    """Bad input, described in one sentence that names the key, the file or the value."""

    def __init__(self, sentence: str):
        sentence = sentence.translate(LINE)
        if len(sentence) > LONGEST:
            sentence = f"{sentence[: LONGEST // 2]} … {sentence[-LONGEST // 2 :]}"
        super().__init__(sentence)


def is_short_of_memory(error: Exception) -> bool:
    """Tell whether memory ran out, in Python's words, in numpy's or in torch's."""
    return isinstance(error, MemoryError) or "can't allocate memory" in str(error)


def is_shortage(error: Exception) -> bool:
    """Tell whether memory or open files ran out: the file to be read may be sound then."""
    numbers = (errno.ENOMEM, errno.EMFILE, errno.ENFILE)
    return is_short_of_memory(error) or getattr(error, "errno", None) in numbers


def suggest(word: object, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: the likeliest known one, or all.

    >>> suggest("vgg39", ["vgg38", "vgg-a"]), suggest("x", ["on", "off"])
    (" (did you mean 'vgg38'?)", ' (known: on, off)')
    """
    known = list(known)
    near = difflib.get_close_matches(str(word), known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else f" (known: {', '.join(known)})"

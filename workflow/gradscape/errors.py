"""The one exception that is meant for the user's eyes."""


class GradscapeError(Exception):
    """Bad input, said in one sentence that names the key, the file or the value."""

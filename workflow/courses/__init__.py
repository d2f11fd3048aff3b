"""Hand-ins, one file a course: what the course wants, and how it marks.

The file says in plain constants what the course asks for: `TITLE` and `YEARS` of its
document, the `STUDIES` that it is about, which of them are `NEEDED`, if not all, and the
`CITED` ones, which it quotes; `STUDENT`, the form of `--student`, and an `EXAMPLE` of it;
`ARCHIVE`, the name of what is handed in, from `{student}` and `{name}`, a folder unless it
ends in `.zip`. Its function takes a `HandIn` and returns the files' contents by path.
Files that are handed in as they are lie in the folder of the same name; what only this
course's document says is in `report/courses/`.
"""

"""What each course wants handed in, and how it marks: one file a course.

The file's function takes the finished runs of the course's `STUDIES`, the report's bytes
and the student's number, and returns the contents of the archive by path.
"""

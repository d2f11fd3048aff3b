"""What each course wants handed in, and how it marks: one file a course."""

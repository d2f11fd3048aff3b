"""Where images come from, how they are kept, and how they are split."""

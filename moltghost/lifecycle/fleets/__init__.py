"""Many agents from one file: planned as a whole, changed side by side."""

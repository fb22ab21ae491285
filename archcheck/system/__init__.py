"""The operating system: files written at once, processors, free memory."""

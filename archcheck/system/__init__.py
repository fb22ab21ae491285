"""The operating system: `files` written at once, `processors`, and free `memory`."""

"""The operating system: `files` written at once, `processors`, free `memory`, and `audit` events of ours."""

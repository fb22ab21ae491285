"""The operating system: `files` written at once, `processors`, `processes`, free `memory`, `audit` events of ours."""

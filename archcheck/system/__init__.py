"""The system: `files` written at once, `processors`, `processes`, free `memory`, `distributions`, `audit` events."""

"""The system: `files` written at once, `processors`, `processes`, `fork_server`, `memory`, `distributions`, `audit`."""

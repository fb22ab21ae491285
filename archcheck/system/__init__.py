"""The system.

`files` written at once, `processors`, `processes`, `fork_server`, `memory`, `distributions`, `audit`;
`printed_results` are kept apart from what other code writes, and known by the file that they go to.
"""

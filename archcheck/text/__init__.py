"""Text: words of messages, numbers with units, tables, YAML's flow style."""

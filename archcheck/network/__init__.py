"""Networks: build targets imported and called, what user code raised, torch's global state kept."""

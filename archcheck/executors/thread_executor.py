"""The executor `processes:N`: so many threads of this process, each with a process of its own that runs checks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from archcheck.executors.host import end_processes


class ProcessesExecutor(ThreadPoolExecutor):
    """Runs so many requests at a time on this machine."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes, whatever they do, and so the threads, which have nothing more to wait for."""
        del wait  # there is nothing to wait for
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        end_processes()
        super().shutdown(wait=True)

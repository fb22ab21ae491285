"""An accelerator for machines that have none: importing `backend` makes torch take this process's own for one."""

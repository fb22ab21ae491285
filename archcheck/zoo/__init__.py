"""The architectures that archcheck ships specs for, as plain PyTorch; nothing here imports the rest of the package."""

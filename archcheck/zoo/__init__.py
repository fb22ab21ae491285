"""The architectures that archcheck ships specs for, as plain PyTorch; nothing here imports the rest of the package.

`mlp`, `lenet`, `alexnet`, `vgg`, `resnet`, `vit`, and `batchnorm`, written from its definition.
"""

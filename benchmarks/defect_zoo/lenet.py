"""LeNet with sigmoids and average pooling, as a plain Sequential."""

from collections import OrderedDict

from torch import nn

INPUT = ["B,1,20,20"]


def build() -> nn.Module:
    """The network."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 6, kernel_size=5, padding=2),
            act1=nn.Sigmoid(),
            pool1=nn.AvgPool2d(kernel_size=2, stride=2),
            conv2=nn.Conv2d(6, 16, kernel_size=5),
            act2=nn.Sigmoid(),
            pool2=nn.AvgPool2d(kernel_size=3, stride=3, padding=1, count_include_pad=False),
            flatten=nn.Flatten(),
            fc1=nn.Linear(64, 30),
            act3=nn.Sigmoid(),
            fc2=nn.Linear(30, 21),
            act4=nn.Sigmoid(),
            fc3=nn.Linear(21, 10),
        )
    )

"""Cases of LeNet."""

from defect_zoo.case import Edit, defect, rewrite

DEFECTS = [
    defect("max for average pool", "pooling", "nn.AvgPool2d(kernel_size=2", "nn.MaxPool2d(kernel_size=2", "pool1"),
    defect("padding counted in the average", "pooling", ", count_include_pad=False", "", "pool2"),
    defect(
        "overlapping pool of the same size",
        "pooling",
        "AvgPool2d(kernel_size=2, stride=2)",
        "AvgPool2d(kernel_size=3, stride=2, padding=1)",
        "pool1",
    ),
    defect(
        "sum for average pool",
        "pooling",
        "kernel_size=2, stride=2",
        "kernel_size=2, stride=2, divisor_override=1",
        "pool1",
    ),
    defect("tanh for sigmoid", "activation", "act2=nn.Sigmoid", "act2=nn.Tanh", "act2"),
    defect("ReLU for sigmoid in the classifier", "activation", "act3=nn.Sigmoid", "act3=nn.ReLU", "act3"),
    defect("an activation lost", "activation", "act4=nn.Sigmoid()", "act4=nn.Identity()", "act4"),
    defect("reflected padding", "stride or padding", "padding=2)", 'padding=2, padding_mode="reflect")', "conv1"),
    defect("replicated padding", "stride or padding", "padding=2)", 'padding=2, padding_mode="replicate")', "conv1"),
    defect(
        "padding moved to the second convolution",
        "stride or padding",
        "nn.Conv2d(1, 6, kernel_size=5, padding=2)",
        "nn.Conv2d(1, 6, kernel_size=5)",
        "conv1",
        also=(Edit("nn.Conv2d(6, 16, kernel_size=5)", "nn.Conv2d(6, 16, kernel_size=5, padding=1)"),),
    ),
    defect(
        "3x3 for 5x5 with its padding", "width or bias", "kernel_size=5, padding=2", "kernel_size=3, padding=1", "conv1"
    ),
    defect(
        "convolution without bias",
        "width or bias",
        "nn.Conv2d(6, 16, kernel_size=5)",
        "nn.Conv2d(6, 16, kernel_size=5, bias=False)",
        "conv2",
    ),
    defect(
        "grouped second convolution",
        "width or bias",
        "nn.Conv2d(6, 16, kernel_size=5)",
        "nn.Conv2d(6, 16, kernel_size=5, groups=2)",
        "conv2",
    ),
    defect(
        "paper's widths of the classifier",
        "width or bias",
        "nn.Linear(64, 30)",
        "nn.Linear(64, 28)",
        "fc1",
        also=(Edit("nn.Linear(30, 21)", "nn.Linear(28, 21)"),),
    ),
    defect(
        "softmax before the loss",
        "activation",
        "fc3=nn.Linear(21, 10),",
        "fc3=nn.Linear(21, 10),\n            softmax=nn.Softmax(dim=1),",
        "softmax",
        "output",
    ),
]

REWRITES = [
    rewrite("layers numbered", ("OrderedDict(\n            conv1=", "OrderedDict(\n            c1="), ("fc3=", "out=")),
    rewrite(
        "nested Sequentials",
        (
            "            flatten=nn.Flatten(),\n            fc1=nn.Linear(64, 30),\n            act3=nn.Sigmoid(),\n",
            "            first=nn.Sequential(nn.Flatten(), nn.Linear(64, 30), nn.Sigmoid()),\n",
        ),
    ),
    rewrite("pool's stride left to its default", ("nn.AvgPool2d(kernel_size=2, stride=2)", "nn.AvgPool2d(2)")),
    rewrite(
        "zero padding as a layer",
        (
            "conv1=nn.Conv2d(1, 6, kernel_size=5, padding=2)",
            "pad=nn.ZeroPad2d(2),\n            conv1=nn.Conv2d(1, 6, kernel_size=5)",
        ),
    ),
    rewrite(
        "identity behind the flattening",
        ("flatten=nn.Flatten(),", "flatten=nn.Flatten(),\n            same=nn.Identity(),"),
    ),
    rewrite("dropout of nothing", ("act4=nn.Sigmoid()", "act4=nn.Sigmoid(),\n            drop=nn.Dropout(0.0)")),
]

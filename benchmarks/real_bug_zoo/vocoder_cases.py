"""Bugs of networks for audio."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "reflected padding whatever is asked for",
        "speechbrain/speechbrain#125",
        "stride or padding",
        "mode=self.padding_mode",
        'mode="reflect"',
        "conv1.conv",
    ),
    bug(
        "base and exponent of the noise level's encoding change places",
        "ivanvovk/WaveGrad#12",
        "position",
        "1e-4**exponents",
        "exponents**1e-4",
        "film",
    ),
]

REWRITES = [
    rewrite(
        "the convolution pads itself",
        (
            "nn.Conv1d(in_channels, out_channels, kernel_size)",
            "nn.Conv1d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)",
        ),
        ("        x = functional.pad(x, (self.padding, self.padding), mode=self.padding_mode)\n", ""),
    ),
]

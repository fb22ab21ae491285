"""Cases of the detector."""

from defect_zoo.case import Edit, defect, rewrite

RAISE = '            raise ValueError("targets can\'t be None in train mode")\n'
ANCHORS = """\
        anchors = torch.cat(
            [make_anchors(x.shape[-1], stride, scale) for x, stride, scale in zip(levels, STRIDES, SCALES, strict=True)]
        )
"""
HEADS = ("classes", "boxes", "classes.out", "boxes.out")

DEFECTS = [
    defect(
        "boxes that overlap more",
        "scale or constant",
        "max_overlap: float = 0.5",
        "max_overlap: float = 0.05",
        "output",
    ),
    defect("a higher threshold", "scale or constant", "min_score: float = 0.3", "min_score: float = 0.9", "output"),
    defect(
        "classes suppress one another",
        "readout",
        "batched_nms(boxes, scores, labels,",
        "batched_nms(boxes, scores, torch.zeros_like(labels),",
        "output",
    ),
    defect("softmax for sigmoid", "activation", "logits.sigmoid()", "logits.softmax(dim=-1)", "output"),
    defect("offsets not scaled", "scale or constant", "deltas[..., :2] * sizes", "deltas[..., :2]", "output"),
    defect(
        "sizes without exponential",
        "activation",
        ".clamp(max=BIGGEST).exp()",
        ".clamp(max=BIGGEST) + 1",
        "output",
        also=(
            Edit(
                "sizes = deltas[..., 2:].clamp(max=BIGGEST) + 1 * sizes",
                "sizes = (deltas[..., 2:].clamp(max=BIGGEST) + 1) * sizes",
            ),
        ),
    ),
    defect("sizes not clamped", "scale or constant", ".clamp(max=BIGGEST).exp()", ".exp()", "output"),
    defect(
        "boxes by centre and size",
        "readout",
        "[centres - sizes / 2, centres + sizes / 2]",
        "[centres, sizes]",
        "output",
    ),
    defect("boxes beyond the image", "scale or constant", "dim=-1).clamp(0, 16)", "dim=-1)", "output"),
    defect(
        "ratios the other way round",
        "scale or constant",
        "scale * ratios.sqrt(), scale / ratios.sqrt()",
        "scale / ratios.sqrt(), scale * ratios.sqrt()",
        "output",
    ),
    defect(
        "cells' corners for middles",
        "position",
        "(torch.arange(size) + 0.5) * stride",
        "torch.arange(size) * stride",
        "output",
    ),
    defect("columns for rows", "axis", 'indexing="ij"', 'indexing="xy"', "output"),
    defect(
        "anchors of the other level",
        "position",
        "zip(levels, STRIDES, SCALES, strict=True)",
        "zip(levels, STRIDES, SCALES[::-1], strict=True)",
        "output",
    ),
    defect(
        "ratios inside the classes",
        "head split",
        "x.permute(0, 3, 4, 1, 2)",
        "x.transpose(1, 2).reshape(x.shape).permute(0, 3, 4, 1, 2)",
        *HEADS,
    ),
    defect("labels without background", "readout", "labels[kept] + 1", "labels[kept]", "output"),
    defect(
        "labels by division",
        "readout",
        "places % CLASSES, boxes[places // CLASSES]",
        "places // CLASSES, boxes[places // CLASSES]",
        "output",
    ),
    defect(
        "levels in another order",
        "concat order",
        "[self.boxes(x) for x in levels]",
        "[self.boxes(x) for x in levels[::-1]]",
        "boxes",
        "output",
        "boxes.hidden",
    ),
    defect("smooth for nearest", "resampling", 'mode="nearest"', 'mode="bilinear"', "pyramid.smooth"),
    defect(
        "top-down path lost",
        "residual",
        ' + functional.interpolate(top, scale_factor=2.0, mode="nearest")',
        "",
        "pyramid.smooth",
    ),
    defect(
        "first activation lost",
        "activation",
        "functional.relu(self.norm1(self.conv1(images)))",
        "self.norm1(self.conv1(images))",
        "pyramid.conv2",
    ),
    defect(
        "frozen norm lost",
        "normalisation",
        "self.norm2(self.conv2(x1))",
        "self.conv2(x1)",
        "pyramid.norm2",
        "pyramid.lateral2",
    ),
    defect(
        "head's activation lost",
        "activation",
        "self.out(functional.relu(self.hidden(x)))",
        "self.out(self.hidden(x))",
        "classes.out",
    ),
    defect(
        "scores detached",
        "detached gradient",
        "logits.sigmoid()",
        "logits.detach().sigmoid()",
        "classes.hidden",
        "classes.out",
        "pyramid.conv1",
        "pyramid.smooth",
        "classes",
    ),
    defect(
        "boxes detached",
        "detached gradient",
        "decode(deltas, anchors.to(deltas))",
        "decode(deltas.detach(), anchors.to(deltas))",
        "boxes.hidden",
        "boxes.out",
        "pyramid.conv1",
        "pyramid.smooth",
        "boxes",
    ),
    defect("scores not rare at the start", "initialisation", "-math.log(99.0)", "0.0", "classes.out"),
]

REWRITES = [
    rewrite(
        "anchors kept in a buffer",
        (ANCHORS, ""),
        (
            "        self.pyramid = Pyramid()\n",
            "        anchors = [make_anchors(16 // stride, stride, scale)\n"
            "                   for stride, scale in zip(STRIDES, SCALES, strict=True)]\n"
            '        self.register_buffer("anchors", torch.cat(anchors), persistent=False)\n'
            "        self.pyramid = Pyramid()\n",
        ),
        ("anchors.to(deltas)", "self.anchors"),
    ),
    rewrite(
        "anchors kept from the first forward on",
        (
            ANCHORS,
            "        if self.anchors is None:\n            self.anchors = torch.cat(\n"
            "                [make_anchors(x.shape[-1], *rest)\n"
            "                 for x, *rest in zip(levels, STRIDES, SCALES, strict=True)]\n"
            "            )\n",
        ),
        ("anchors.to(deltas)", "self.anchors.to(deltas)"),
        (
            "        self.pyramid = Pyramid()\n",
            "        self.anchors: Tensor | None = None\n        self.pyramid = Pyramid()\n",
        ),
    ),
    rewrite(
        "anchors kept by size",
        (
            "    y, x = torch.meshgrid",
            "    return _around(size, stride, scale)\n\n\n@lru_cache\n"
            "def _around(size: int, stride: int, scale: float) -> Tensor:\n"
            "    ratios = torch.tensor(RATIOS)\n    heights, widths = scale * ratios.sqrt(), scale / ratios.sqrt()\n"
            "    around = torch.stack([-widths, -heights, widths, heights], dim=1) / 2\n"
            "    middle = (torch.arange(size) + 0.5) * stride\n    y, x = torch.meshgrid",
        ),
        ("import math\n", "import math\nfrom functools import lru_cache\n"),
    ),
    rewrite(
        "grid by expansion",
        (
            'torch.meshgrid(middle, middle, indexing="ij")',
            "middle[:, None].expand(size, size), middle[None].expand(size, size)",
        ),
    ),
    rewrite(
        "best by sorting",
        (
            "best, places = scores.flatten().topk(20)",
            "best, places = (part[:20] for part in scores.flatten().sort(descending=True))",
        ),
    ),
    rewrite(
        "places by nonzero",
        ("places[best > self.min_score]", "places[torch.nonzero(best > self.min_score).squeeze(1)]"),
    ),
    rewrite(
        "suppressed by offsets",
        (
            "batched_nms(boxes, scores, labels, self.max_overlap)",
            "nms(boxes + labels[:, None].to(boxes) * 17, scores, self.max_overlap)",
        ),
        ("import batched_nms", "import nms"),
    ),
    rewrite(
        "suppressed by hand",
        (
            "        kept = batched_nms(boxes, scores, labels, self.max_overlap)\n",
            "        overlaps = (box_iou(boxes, boxes) > self.max_overlap) & (labels[:, None] == labels)\n"
            "        kept = []\n"
            "        for index in range(len(boxes)):\n"
            "            if not any(overlaps[index, other] for other in kept):\n"
            "                kept.append(index)\n",
        ),
        ("import batched_nms", "import box_iou"),
    ),
    rewrite(
        "clipped by the library",
        (", dim=-1).clamp(0, 16)", ", dim=-1)"),
        ("decode(deltas, anchors.to(deltas))", "clip_boxes_to_image(decode(deltas, anchors.to(deltas)), (16, 16))"),
        ("import batched_nms", "import batched_nms, clip_boxes_to_image"),
    ),
    rewrite(
        "frozen norm of the library",
        ("        self.norm1 = FrozenNorm(6)\n", "        self.norm1 = FrozenBatchNorm2d(6)\n"),
        ("self.norm2 = FrozenNorm(10)", "self.norm2 = FrozenBatchNorm2d(10)"),
        ("import batched_nms", "import FrozenBatchNorm2d, batched_nms"),
    ),
    rewrite(
        "upsampled by repetition",
        (
            'functional.interpolate(top, scale_factor=2.0, mode="nearest")',
            "top.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)",
        ),
    ),
    rewrite("upsampled to the size below", ("scale_factor=2.0,", "size=x1.shape[-2:],")),
    rewrite(
        "head's numbers by view",
        (
            "        x = x.unflatten(1, (len(RATIOS), self.width))  # type: ignore[no-untyped-call]\n"
            "        return x.permute(0, 3, 4, 1, 2).flatten(1, 3)\n",
            "        return x.permute(0, 2, 3, 1).reshape(len(x), -1, self.width)\n",
        ),
    ),
    rewrite(
        "an assertion for an error",
        (RAISE, '            torch._assert(False, "targets should not be none when in training mode")\n'),
    ),
    rewrite(
        "losses before anything else",
        (
            "        if self.training and targets is None:\n" + RAISE + "        levels = self.pyramid(images)\n",
            "        levels = self.pyramid(images)\n",
        ),
        ("targets or []", "targets"),
        ("targets: list[dict[str, Tensor]]) ->", "targets: list[dict[str, Tensor]] | None) ->"),
        (
            "        wanted = torch.stack([t",
            '        if targets is None:\n            raise RuntimeError("no targets")\n'
            "        wanted = torch.stack([t",
        ),
    ),
    rewrite(
        "detections one by one",
        (
            "        return [self.select(*one) for one in zip(logits.sigmoid(), boxes, strict=True)]\n",
            "        detections = []\n        for index in range(len(images)):\n"
            "            detections.append(self.select(torch.sigmoid(logits[index]), boxes[index]))\n"
            "        return detections\n",
        ),
    ),
    rewrite(
        "decoding one by one",
        (
            "        boxes = decode(deltas, anchors.to(deltas))\n",
            "        boxes = torch.stack([decode(one, anchors.to(deltas)) for one in deltas])\n",
        ),
    ),
    rewrite(
        "heads level by level",
        (
            "        logits = torch.cat([self.classes(x) for x in levels], dim=1)\n"
            "        deltas = torch.cat([self.boxes(x) for x in levels], dim=1)\n",
            "        found = [(self.classes(x), self.boxes(x)) for x in levels]\n"
            "        logits, deltas = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))\n",
        ),
    ),
]

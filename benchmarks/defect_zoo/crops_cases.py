"""Cases of self-distillation."""

from defect_zoo.case import Edit, defect, rewrite

TEACHER = ("teacher.0.conv1", "teacher.0", "teacher.0.conv2")
GRADIENT = ("student.0.conv1", "student.0.conv2", "student.0", "student.1", "student.1.fc1", "student.1.fc2", "output")
FOLLOW = "            other.mul_(self.momentum).add_(one, alpha=1 - self.momentum)\n"
CENTRE = "        self.centre = self.centre * 0.8 + outputs.mean(dim=0, keepdim=True) * 0.2\n"
LOSSES = """\
        losses = [
            -(target * (one / 0.1).log_softmax(dim=-1)).sum(dim=-1)
            for index, target in enumerate(targets)
            for other, one in enumerate(student)
            if index != other
        ]
"""

DEFECTS = [
    defect(
        "teacher follows in eval mode, too",
        "train or eval mode",
        "        if self.training:\n            self.follow()\n",
        "        self.follow()\n",
        *TEACHER,
    ),
    defect(
        "teacher never follows",
        "train or eval mode",
        "        if self.training:\n            self.follow()\n",
        "",
        *TEACHER,
    ),
    defect("a slower teacher", "scale or constant", "momentum: float = 0.9", "momentum: float = 0.99", *TEACHER),
    defect(
        "teacher follows by the momentum",
        "scale or constant",
        FOLLOW,
        "            other.mul_(1 - self.momentum).add_(one, alpha=self.momentum)\n",
        *TEACHER,
    ),
    defect(
        "only the backbone is followed",
        "sharing",
        "zip(self.student.parameters(), self.teacher.parameters(), strict=True)",
        "zip(self.student[0].parameters(), self.teacher[0].parameters(), strict=True)",
        "teacher.1.fc1",
        "teacher.1",
    ),
    defect(
        "student teaches",
        "sharing",
        "[self.teacher(crop) for crop in crops[:GLOBAL]]",
        "[self.student(crop) for crop in crops[:GLOBAL]]",
        "student.0.conv1",
        "teacher.0.conv1",
        "teacher",
        "student",
    ),
    defect("teacher sees the small crops", "readout", "crops[:GLOBAL]]", "crops[GLOBAL:]]", *TEACHER),
    defect("teacher sees all crops", "readout", "crops[:GLOBAL]]", "crops]", *TEACHER, "output"),
    defect("same crop compared, too", "readout", "            if index != other\n", "", "output"),
    defect("centre added", "scale or constant", "(one - self.centre)", "(one + self.centre)", "output"),
    defect(
        "centre of the student",
        "buffers",
        "self.move_centre(torch.cat(teacher))",
        "self.move_centre(torch.cat(student))",
        "output",
    ),
    defect(
        "centre never moves",
        "buffers",
        "        if self.training:\n            self.move_centre(torch.cat(teacher))\n",
        "",
        "output",
    ),
    defect(
        "centre moves in eval mode, too",
        "buffers",
        "        if self.training:\n            self.move_centre(torch.cat(teacher))\n",
        "        self.move_centre(torch.cat(teacher))\n",
        "output",
    ),
    defect(
        "centre moves before its use",
        "buffers",
        "        targets = [",
        "        if self.training:\n            self.move_centre(torch.cat(teacher))\n        targets = [",
        "output",
        also=(
            Edit(
                "        if self.training:\n            self.move_centre(torch.cat(teacher))\n        return",
                "        return",
            ),
        ),
    ),
    defect("one number for a centre", "axis", "outputs.mean(dim=0, keepdim=True)", "outputs.mean()", "output"),
    defect(
        "a warmer teacher",
        "scale or constant",
        "teacher_temperature: float = 0.07",
        "teacher_temperature: float = 0.04",
        "output",
    ),
    defect("a warmer student", "scale or constant", "(one / 0.1)", "(one / 0.2)", "output"),
    defect(
        "softmax over the batch",
        "axis",
        "self.teacher_temperature).softmax(dim=-1)",
        "self.teacher_temperature).softmax(dim=0)",
        "output",
    ),
    defect(
        "student's output detached",
        "detached gradient",
        '"student": student[0]',
        '"student": student[0].detach()',
        *GRADIENT,
    ),
    defect(
        "loss's student detached",
        "detached gradient",
        "-(target * (one / 0.1)",
        "-(target * (one.detach() / 0.1)",
        *GRADIENT,
    ),
    defect(
        "prototypes of any length",
        "normalisation",
        "functional.normalize(self.prototypes, dim=-1)",
        "self.prototypes",
        "student.1",
    ),
    defect(
        "narrow end not normalised",
        "normalisation",
        "functional.normalize(self.fc2(functional.gelu(self.fc1(x))), dim=-1)",
        "self.fc2(functional.gelu(self.fc1(x)))",
        "student.1",
    ),
    defect("maximum for the mean", "pooling", ".mean(dim=(2, 3))", ".amax(dim=(2, 3))", "student.0"),
    defect(
        "head's activation lost",
        "activation",
        "self.fc2(functional.gelu(self.fc1(x)))",
        "self.fc2(self.fc1(x))",
        "student.1.fc2",
    ),
]

REWRITES = [
    rewrite(
        "teacher by copy", (FOLLOW, "            other.copy_(other * self.momentum + one * (1 - self.momentum))\n")
    ),
    rewrite(
        "teacher by data",
        (FOLLOW, "            other.data = other.data * self.momentum + one.data * (1 - self.momentum)\n"),
    ),
    rewrite(
        "teacher by data in place",
        (FOLLOW, "            other.data.mul_(self.momentum).add_((1 - self.momentum) * one.detach().data)\n"),
    ),
    rewrite("teacher by lerp", (FOLLOW, "            other.lerp_(one, 1 - self.momentum)\n")),
    rewrite(
        "teacher under a pre-hook",
        ("        if self.training:\n            self.follow()\n", ""),
        (
            '        self.register_buffer("centre"',
            "        self.register_forward_pre_hook(lambda module, _: module.follow() if module.training else None)\n"
            '        self.register_buffer("centre"',
        ),
    ),
    rewrite(
        "centre in place",
        (CENTRE, "        self.centre.mul_(0.8).add_(outputs.mean(dim=0, keepdim=True), alpha=0.2)\n"),
    ),
    rewrite(
        "centre by copy",
        (CENTRE, "        self.centre.copy_(self.centre * 0.8 + outputs.mean(dim=0, keepdim=True) * 0.2)\n"),
    ),
    rewrite(
        "centre registered anew",
        (
            CENTRE,
            '        self.register_buffer("centre", self.centre * 0.8 + outputs.mean(dim=0, keepdim=True) * 0.2)\n',
        ),
    ),
    rewrite(
        "centre by sums",
        ("outputs.mean(dim=0, keepdim=True) * 0.2", "outputs.sum(dim=0, keepdim=True) / len(outputs) * 0.2"),
    ),
    rewrite(
        "centre a frozen parameter",
        (
            'self.register_buffer("centre", torch.zeros(1, OUT))',
            "self.centre = nn.Parameter(torch.zeros(1, OUT), requires_grad=False)",
        ),
        (CENTRE, "        self.centre.mul_(0.8).add_(outputs.mean(dim=0, keepdim=True), alpha=0.2)\n"),
    ),
    rewrite(
        "crops of one size at once",
        (
            "        student = [self.student(crop) for crop in crops]\n",
            "        student = [*self.student(torch.cat(crops[:GLOBAL])).chunk(GLOBAL), "
            "*self.student(torch.cat(crops[GLOBAL:])).chunk(len(crops) - GLOBAL)]\n",
        ),
    ),
    rewrite(
        "teacher's crops at once",
        (
            "            teacher = [self.teacher(crop) for crop in crops[:GLOBAL]]\n",
            "            teacher = list(self.teacher(torch.cat(crops[:GLOBAL])).chunk(GLOBAL))\n",
        ),
    ),
    rewrite(
        "backbone first, head for all",
        (
            "        student = [self.student(crop) for crop in crops]\n",
            "        found = torch.cat([self.student[0](crop) for crop in crops])\n"
            "        student = list(self.student[1](found).chunk(len(crops)))\n",
        ),
    ),
    rewrite(
        "crops by position",
        ("[self.student(crop) for crop in crops]", "[self.student(crops[index]) for index in range(len(crops))]"),
    ),
    rewrite(
        "losses summed up",
        (
            LOSSES,
            "        total, count = 0.0, 0\n        for index, target in enumerate(targets):\n"
            "            for other, one in enumerate(student):\n                if index == other:\n"
            "                    continue\n"
            "                total = total - (target * functional.log_softmax(one / 0.1, dim=-1)).sum(dim=-1)\n"
            "                count += 1\n",
        ),
        ("torch.stack(losses).mean(dim=0)", "total / count"),
    ),
    rewrite(
        "losses by the library",
        (
            "-(target * (one / 0.1).log_softmax(dim=-1)).sum(dim=-1)",
            'functional.cross_entropy(one / 0.1, target, reduction="none")',
        ),
    ),
    rewrite(
        "teacher detached",
        (
            "        with torch.no_grad():\n            teacher = [self.teacher(crop) for crop in crops[:GLOBAL]]\n",
            "        teacher = [self.teacher(crop).detach() for crop in crops[:GLOBAL]]\n",
        ),
    ),
    rewrite(
        "teacher built and loaded",
        (
            "self.teacher = copy.deepcopy(self.student).requires_grad_(False)",
            "self.teacher = nn.Sequential(Backbone(), Head())\n"
            "        self.teacher.load_state_dict(self.student.state_dict())\n"
            "        self.teacher.requires_grad_(False)",
        ),
    ),
    rewrite(
        "prototypes by a layer",
        (
            "        self.prototypes = nn.Parameter(torch.randn(OUT, 8))\n",
            "        self.prototypes = nn.Linear(8, OUT, bias=False)\n",
        ),
        ("functional.normalize(self.prototypes, dim=-1)", "functional.normalize(self.prototypes.weight, dim=-1)"),
    ),
]

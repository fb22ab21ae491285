"""Cases of the tracker."""

from defect_zoo.case import Edit, defect, rewrite

CUT = """            if step and step % CUT == 0:
                hidden, cell = hidden.detach(), cell.detach()
"""
CELL = """        cell = torch.sigmoid(f + 1.0) * cell + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(cell), cell
"""
GATES = "i, f, o, g = self.gates(torch.cat([x, hidden], dim=1)).chunk(4, dim=1)"
START = """        hidden = film.new_zeros(len(film), CHANNELS, *film.shape[-2:])
        cell = torch.zeros_like(hidden)
"""
LOOP = """        features = []
        for step, frame in enumerate(film.unbind(1)):
            if step and step % CUT == 0:
                hidden, cell = hidden.detach(), cell.detach()
            hidden, cell = self.cell(frame, (hidden, cell))
            features.append(hidden.mean(dim=(2, 3)))
        return torch.stack(features, dim=1)
"""
STEPS = """        state = film.new_zeros(len(film), HIDDEN)
        scores = []
        for step in range(film.shape[1]):
            going = (last >= step).unsqueeze(1)  # (B, 1)
            state = torch.where(going, self.gru(features[:, step], state), state)
            scores.append(self.score(functional.dropout(state, 0.2, self.training)) * going)
        return torch.stack(scores, dim=1), state
"""
ZERO = "        state = film.new_zeros(len(film), HIDDEN)\n"
WHERE = "state = torch.where(going, self.gru(features[:, step], state), state)"
MADE = "        self.score = nn.Linear(HIDDEN, 3)\n"
END = "        return torch.stack(scores, dim=1), state\n"
KEPT = "            state = self.kept[: len(film)].to(film)\n"

DEFECTS = [
    defect(
        "starts from where the last batch ended",
        "recurrent wiring",
        MADE,
        MADE + "        self.kept: Tensor | None = None\n",
        "gru",
        also=(
            Edit(ZERO, "        state = film.new_zeros(len(film), HIDDEN) if self.kept is None else self.kept\n"),
            Edit(END, "        self.kept = state.detach()\n" + END),
        ),
    ),
    defect(
        "state kept in a buffer",
        "buffers",
        MADE,
        MADE + '        self.register_buffer("kept", torch.zeros(1, HIDDEN))\n',
        "gru",
        also=(
            Edit(ZERO, "        state = self.kept.expand(len(film), -1)\n"),
            Edit(END, "        self.kept = state.detach().mean(dim=0, keepdim=True)\n" + END),
        ),
    ),
    defect(
        "state kept in train mode only",
        "buffers",
        MADE,
        MADE + '        self.register_buffer("kept", torch.zeros(1, HIDDEN))\n',
        "a number",
        "output",
        "gru",
        also=(
            Edit(ZERO, "        state = self.kept.expand(len(film), -1)\n"),
            Edit(
                END,
                "        if self.training:\n            self.kept = state.detach().mean(dim=0, keepdim=True)\n" + END,
            ),
        ),
    ),
    defect(
        "cell kept from film to film",
        "recurrent wiring",
        MADE,
        MADE + "        self.kept: Tensor | None = None\n",
        "cell",
        also=(
            Edit(
                "        cell = torch.zeros_like(hidden)\n",
                "        cell = torch.zeros_like(hidden) if self.kept is None else self.kept[:1].expand_as(hidden)\n",
            ),
            Edit(
                "        return torch.stack(features, dim=1)\n",
                "        self.kept = cell.detach()\n        return torch.stack(features, dim=1)\n",
            ),
        ),
    ),
    defect(
        "starts from a learnt state",
        "initialisation",
        MADE,
        MADE + "        self.start = nn.Parameter(torch.zeros(1, HIDDEN))\n",
        "gru",
        also=(Edit(ZERO, "        state = self.start.expand(len(film), -1)\n"),),
    ),
    defect("never cut", "detached gradient", CUT, "", "cell.gates"),
    defect("cut at every frame", "detached gradient", "if step and step % CUT == 0", "if step", "cell.gates"),
    defect("cut a frame late", "detached gradient", "step % CUT == 0", "step % CUT == 1", "cell.gates"),
    defect(
        "cut of the cell forgotten",
        "detached gradient",
        "hidden, cell = hidden.detach(), cell.detach()",
        "hidden = hidden.detach()",
        "cell.gates",
    ),
    defect(
        "wiped instead of cut",
        "recurrent wiring",
        "hidden, cell = hidden.detach(), cell.detach()",
        "hidden, cell = torch.zeros_like(hidden), torch.zeros_like(cell)",
        "cell.gates",
    ),
    defect("gates in another order", "recurrent wiring", "i, f, o, g =", "i, f, g, o =", "cell"),
    defect("forget gate without its shift", "scale or constant", "torch.sigmoid(f + 1.0)", "torch.sigmoid(f)", "cell"),
    defect("input gate forgotten", "recurrent wiring", "torch.sigmoid(i) * torch.tanh(g)", "torch.tanh(g)", "cell"),
    defect(
        "coupled gates",
        "recurrent wiring",
        "torch.sigmoid(i) * torch.tanh(g)",
        "(1 - torch.sigmoid(f + 1.0)) * torch.tanh(g)",
        "cell",
    ),
    defect(
        "tanh of the cell forgotten",
        "activation",
        "torch.sigmoid(o) * torch.tanh(cell)",
        "torch.sigmoid(o) * cell",
        "cell",
    ),
    defect(
        "hidden state before the frame",
        "concat order",
        "torch.cat([x, hidden], dim=1)",
        "torch.cat([hidden, x], dim=1)",
        "cell.gates",
    ),
    defect(
        "hidden state and cell exchanged",
        "recurrent wiring",
        "hidden, cell = self.cell(frame, (hidden, cell))",
        "cell, hidden = self.cell(frame, (hidden, cell))",
        "cell.gates",
    ),
    defect(
        "frames in reverse",
        "recurrent wiring",
        "enumerate(film.unbind(1))",
        "enumerate(film.flip(1).unbind(1))",
        "cell.gates",
    ),
    defect(
        "cell for the hidden state as features",
        "readout",
        "features.append(hidden.mean",
        "features.append(cell.mean",
        "norm",
    ),
    defect("goes on after the end", "masking", WHERE, "state = self.gru(features[:, step], state)", "score"),
    defect("ends a frame early", "masking", "(last >= step)", "(last > step)", "score"),
    defect(
        "wiped after the end",
        "masking",
        "self.gru(features[:, step], state), state)",
        "self.gru(features[:, step], state), 0.0)",
        "score",
    ),
    defect(
        "mask turned round",
        "masking",
        "torch.where(going, self.gru(features[:, step], state), state)",
        "torch.where(going, state, self.gru(features[:, step], state))",
        "score",
    ),
    defect("scores after the end", "masking", " * going)", ")", "output"),
    defect(
        "state a frame late",
        "recurrent wiring",
        "self.score(functional.dropout(state,",
        "self.score(functional.dropout(before,",
        "score",
        also=(Edit("            going = (last", "            before = state\n            going = (last"),),
    ),
    defect(
        "norm over frames as well",
        "normalisation",
        "self.norm(self.look(film))",
        "functional.layer_norm(self.look(film), (5, CHANNELS), "
        "self.norm.weight.expand(5, -1), self.norm.bias.expand(5, -1))",
        "norm",
        "gru",
    ),
    defect(
        "dropout inside the recurrence",
        "dropout",
        "            scores.append(self.score(functional.dropout(state, 0.2, self.training)) * going)",
        "            state = functional.dropout(state, 0.2, self.training)\n"
        "            scores.append(self.score(state) * going)",
        "gru",
    ),
    defect(
        "stacked along the batch",
        "axis",
        "torch.stack(features, dim=1)",
        "torch.stack(features, dim=0).reshape(len(film), -1, CHANNELS)",
        "norm",
    ),
    defect(
        "state without gradient",
        "detached gradient",
        "self.gru(features[:, step], state), state)",
        "self.gru(features[:, step], state.detach()), state)",
        "cell.gates",
        "gru",
    ),
    defect("RNN for GRU", "recurrent wiring", "nn.GRUCell(CHANNELS, HIDDEN)", "nn.RNNCell(CHANNELS, HIDDEN)", "gru"),
]

REWRITES = [
    rewrite(
        "GRU over packed films",
        (
            STEPS,
            """        counts = last.cpu() + 1
        packed = nn.utils.rnn.pack_padded_sequence(features, counts, batch_first=True, enforce_sorted=False)
        states, state = self.gru(packed)
        states, _ = nn.utils.rnn.pad_packed_sequence(states, batch_first=True, total_length=film.shape[1])
        scores = []
        for step in range(film.shape[1]):
            seen = functional.dropout(states[:, step], 0.2, self.training)
            scores.append(self.score(seen) * (last >= step).unsqueeze(1))
        return torch.stack(scores, dim=1), state[0]
""",
        ),
        ("nn.GRUCell(CHANNELS, HIDDEN)", "nn.GRU(CHANNELS, HIDDEN, batch_first=True)"),
    ),
    rewrite(
        "GRU over all, state picked",
        (
            STEPS,
            """        states, _ = self.gru(features)
        state = states[torch.arange(len(film)), last]
        scores = []
        for step in range(film.shape[1]):
            seen = functional.dropout(torch.where((last > step)[:, None], states[:, step], state), 0.2, self.training)
            scores.append(self.score(seen) * (last >= step).unsqueeze(1))
        return torch.stack(scores, dim=1), state
""",
        ),
        ("nn.GRUCell(CHANNELS, HIDDEN)", "nn.GRU(CHANNELS, HIDDEN, batch_first=True)"),
    ),
    rewrite(
        "GRU step by hand",
        ("self.gru(features[:, step], state)", "self.next(features[:, step], state)"),
        (
            "    def look(self",
            """    def next(self, x: Tensor, state: Tensor) -> Tensor:
        reset, update, new = functional.linear(x, self.gru.weight_ih, self.gru.bias_ih).chunk(3, dim=1)
        old = functional.linear(state, self.gru.weight_hh, self.gru.bias_hh).chunk(3, dim=1)
        update = torch.sigmoid(update + old[1])
        new = torch.tanh(new + torch.sigmoid(reset + old[0]) * old[2])
        return (1 - update) * new + update * state

    def look(self""",
        ),
    ),
    rewrite(
        "GRU step of torch's own",
        (
            "self.gru(features[:, step], state)",
            "torch.gru_cell(features[:, step], state, self.gru.weight_ih, "
            "self.gru.weight_hh, self.gru.bias_ih, self.gru.bias_hh)",
        ),
    ),
    rewrite(
        "no state given at first",
        (ZERO, "        state = None\n"),
        (
            WHERE,
            """new = self.gru(features[:, step], state)
            state = new if state is None else torch.where(going, new, state)""",
        ),
    ),
    rewrite(
        "state kept, but reset at the start",
        (ZERO, "        self.reset(film)\n"),
        (WHERE, "self.state = torch.where(going, self.gru(features[:, step], self.state), self.state)"),
        ("functional.dropout(state, 0.2", "functional.dropout(self.state, 0.2"),
        (END, "        return torch.stack(scores, dim=1), self.state\n"),
        (
            "    def look(self",
            '''    def reset(self, film: Tensor) -> None:
        """Begin a film."""
        self.state = film.new_zeros(len(film), HIDDEN)

    def look(self''',
        ),
    ),
    rewrite(
        "state kept, and let go at the end",
        (ZERO, "        self.state = film.new_zeros(len(film), HIDDEN)\n"),
        (WHERE, "self.state = torch.where(going, self.gru(features[:, step], self.state), self.state)"),
        ("functional.dropout(state, 0.2", "functional.dropout(self.state, 0.2"),
        (END, "        state, self.state = self.state, None\n" + END),
    ),
    rewrite("last state kept to be looked at", (END, "        self.seen = state.detach()\n" + END)),
    rewrite(
        "features kept in a list to be looked at",
        (MADE, MADE + "        self.seen: list[Tensor] = []\n"),
        (END, "        self.seen = [features]\n" + END),
    ),
    rewrite(
        "cell's state on the cell",
        ("        hidden, cell = state\n", "        hidden, cell = state if state is not None else self.state\n"),
        (
            CELL,
            CELL.replace(
                "return torch.sigmoid(o) * torch.tanh(cell), cell",
                "self.state = torch.sigmoid(o) * torch.tanh(cell), cell\n        return self.state",
            ),
        ),
        ("self.cell(frame, (hidden, cell))", "self.cell(frame, (hidden, cell) if step % CUT == 0 else None)"),
    ),
    rewrite(
        "state as a record",
        (
            "            hidden, cell = self.cell(frame, (hidden, cell))\n",
            "            memory = Memory(*self.cell(frame, (hidden, cell)))\n"
            "            hidden, cell = memory.hidden, memory.cell\n",
        ),
        (
            "class ConvLSTMCell",
            "@dataclass(slots=True)\n"
            "class Memory:\n"
            '    """A state."""\n'
            "\n"
            "    hidden: Tensor\n"
            "    cell: Tensor\n"
            "\n"
            "\n"
            "class ConvLSTMCell",
        ),
        ("import torch\n", "from dataclasses import dataclass\n\nimport torch\n"),
    ),
    rewrite("masked by a product", (WHERE, "state = going * self.gru(features[:, step], state) + ~going * state")),
    rewrite(
        "masked by lerp",
        (WHERE, "state = torch.lerp(state, self.gru(features[:, step], state), going.to(state.dtype))"),
    ),
    rewrite(
        "masked by rows",
        (
            WHERE,
            """state = state.clone()
            rows = (last >= step).nonzero().squeeze(1)
            state[rows] = self.gru(features[rows, step], state[rows])""",
        ),
    ),
    rewrite(
        "ends by an order of lengths",
        ("            going = (last >= step).unsqueeze(1)  # (B, 1)\n", "            going = mask[:, step, None]\n"),
        (ZERO, ZERO + "        mask = torch.arange(film.shape[1], device=film.device)[None, :] <= last[:, None]\n"),
    ),
    rewrite(
        "frames by index",
        ("for step, frame in enumerate(film.unbind(1)):", "for step in range(film.shape[1]):"),
        ("self.cell(frame, ", "self.cell(film[:, step], "),
    ),
    rewrite(
        "time first",
        ("for step, frame in enumerate(film.unbind(1)):", "for step, frame in enumerate(film.transpose(0, 1)):"),
        ("torch.stack(features, dim=1)", "torch.stack(features).transpose(0, 1)"),
    ),
    rewrite(
        "films cut into pieces",
        (
            LOOP,
            """        features = []
        for piece in film.split(CUT, dim=1):
            hidden, cell = hidden.detach(), cell.detach()
            for frame in piece.unbind(1):
                hidden, cell = self.cell(frame, (hidden, cell))
                features.append(hidden.mean(dim=(2, 3)))
        return torch.stack(features, dim=1)
""",
        ),
    ),
    rewrite(
        "written into a tensor",
        ("features = []\n", "features = film.new_zeros(*film.shape[:2], CHANNELS)\n"),
        ("features.append(hidden.mean(dim=(2, 3)))", "features[:, step] = hidden.mean(dim=(2, 3))"),
        ("        return torch.stack(features, dim=1)\n", "        return features\n"),
    ),
    rewrite(
        "features by a generator",
        (
            LOOP,
            """        def frames(hidden: Tensor, cell: Tensor):
            for step, frame in enumerate(film.unbind(1)):
                if step and step % CUT == 0:
                    hidden, cell = hidden.detach(), cell.detach()
                hidden, cell = self.cell(frame, (hidden, cell))
                yield hidden.mean(dim=(2, 3))

        return torch.stack(list(frames(hidden, cell)), dim=1)
""",
        ),
    ),
    rewrite(
        "gates by two convolutions of one weight",
        (
            GATES,
            """weight, bias = self.gates.weight, self.gates.bias
        seen = functional.conv2d(x, weight[:, :2], bias, padding=1)
        i, f, o, g = (seen + functional.conv2d(hidden, weight[:, 2:], padding=1)).chunk(4, dim=1)""",
        ),
    ),
    rewrite(
        "gates by unflatten",
        (GATES, "i, f, o, g = self.gates(torch.cat([x, hidden], dim=1)).unflatten(1, (4, -1)).unbind(1)"),
    ),
    rewrite(
        "three gates at once",
        (
            GATES,
            """gates = self.gates(torch.cat([x, hidden], dim=1))
        i, f, o, g = gates.split(CHANNELS, dim=1)""",
        ),
        (
            CELL,
            """        shift = torch.tensor([0.0, 1.0, 0.0]).repeat_interleave(CHANNELS)[:, None, None].to(x)
        i, f, o = torch.sigmoid(gates[:, : 3 * CHANNELS] + shift).chunk(3, dim=1)
        cell = torch.addcmul(f * cell, i, g.tanh())
        return o * cell.tanh(), cell
""",
        ),
    ),
    rewrite(
        "cell in place",
        (
            "cell = torch.sigmoid(f + 1.0) * cell + torch.sigmoid(i) * torch.tanh(g)",
            """cell = torch.sigmoid(f + 1.0) * cell
        cell += torch.sigmoid(i) * torch.tanh(g)""",
        ),
    ),
    rewrite(
        "cut by a clone",
        (
            "hidden, cell = hidden.detach(), cell.detach()",
            "hidden, cell = (one.clone().detach() for one in (hidden, cell))",
        ),
    ),
    rewrite(
        "parts registered in reverse",
        (
            """        self.cell = ConvLSTMCell()
        self.norm = nn.LayerNorm(CHANNELS)
        self.gru = nn.GRUCell(CHANNELS, HIDDEN)
        self.score = nn.Linear(HIDDEN, 3)
""",
            """        self.score = nn.Linear(HIDDEN, 3)
        self.gru = nn.GRUCell(CHANNELS, HIDDEN)
        self.norm = nn.LayerNorm(CHANNELS)
        self.cell = ConvLSTMCell()
""",
        ),
    ),
]

"use strict";
(() => {
  const LANE = 6, ROW = 24, LANES = 24, NARROW = 8;
  const svg = (name, attributes, inside = []) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...inside);
    return made;
  };

  // ------------------------------------------------------------------ arcs: from what is to be seen of two layers
  // The rows that are shown, and for each layer the row that stands for it: its own, or the closed one around it.
  const shownRows = (drawing) => {
    const rows = [], rowOf = new Map();
    const own = (element, isLayer) => {
      const place = element.dataset.n;
      rows.push({ element, isLayer });
      if (place !== undefined) rowOf.set(place, rows.length - 1);
    };
    const visit = (list) => {
      for (const item of list.children) for (const one of item.children) {
        if (one.tagName !== "DETAILS") { own(one, !one.classList.contains("said")); continue; }
        for (const part of one.children) {
          if (part.tagName === "UL") {
            if (one.open) visit(part);
            else for (const inner of part.querySelectorAll("[data-n]")) rowOf.set(inner.dataset.n, rows.length - 1);
          } else if (part.tagName === "SUMMARY" || one.open) own(part, part.tagName === "SUMMARY" && !one.open);
        }
      }
    };
    visit(drawing.querySelector(".network"));
    return { rows, rowOf };
  };

  // By the row that they start at: the rows that take what it puts out, those in a line apart from those past others.
  const connections = (drawing, { rows, rowOf }) => {
    const straight = new Set(), arcs = new Map();
    const isBeside = (a, b) => {
      for (let i = a + 1; i < b; i++) if (rows[i].isLayer) return false;
      return true;
    };
    for (const taker of drawing.querySelectorAll("[data-of]")) {
      const to = rowOf.get(taker.dataset.n);
      for (const distance of taker.dataset.of.split(" ")) {
        const from = rowOf.get(String(taker.dataset.n - distance));
        if (from === undefined || to === undefined || from >= to) continue;
        if (isBeside(from, to)) straight.add(`${from} ${to}`);
        else arcs.set(from, (arcs.get(from) || new Set()).add(to));
      }
    }
    return { straight: [...straight].map((pair) => pair.split(" ").map(Number)), arcs };
  };

  // Short arcs next to the rows, longer ones around them.
  const inLanes = (arcs) => {
    const lanes = [];
    const found = [...arcs].map(([from, to]) => ({ from, to: [...to].sort((a, b) => a - b), lane: 0 }));
    found.sort((a, b) => (a.to.at(-1) - a.from) - (b.to.at(-1) - b.from) || a.from - b.from);
    for (const one of found) {
      const end = one.to.at(-1);
      const isFree = (lane) => !lane.some((other) => one.from < other.to.at(-1) && other.from < end);
      let lane = lanes.findIndex(isFree);
      if (lane < 0) { lane = Math.min(lanes.length, LANES - 1); lanes[lane] ||= []; }
      lanes[lane].push(one);
      one.lane = lane;
    }
    return { found, number: lanes.length };
  };

  const draw = (drawing) => {
    drawing.querySelector(".arcs")?.remove();
    const shown = shownRows(drawing);
    const { straight, arcs } = connections(drawing, shown);
    const { found, number } = inLanes(arcs);
    const width = NARROW + 10 + number * LANE, x = width - 5, height = shown.rows.length * ROW;
    const middle = (row) => (row + 0.5) * ROW;
    const spine = straight.map(([a, b]) => `M${x} ${middle(a)}V${middle(b)}`).join("");
    const layers = shown.rows.flatMap(({ isLayer }, row) => isLayer ? [row] : []);
    const dots = layers.map((row) => `M${x - 2.5} ${middle(row)}a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0 -5 0z`);
    const parts = [svg("path", { d: spine }), svg("path", { d: dots.join(""), class: "head" })];
    for (const { from, to, lane } of found) {
      const out = x - 12 - lane * LANE, bend = Math.min(5, 3 + lane), down = middle(to.at(-1)) - bend;
      const start = `M${x} ${middle(from)}H${out + bend}Q${out} ${middle(from)} ${out} ${middle(from) + bend}V${down}`;
      const ends = to.map((row) => `M${out} ${middle(row) - bend}Q${out} ${middle(row)} ${out + bend} ${middle(row)}H${x}`);
      const heads = to.map((row) => `M${x - 2} ${middle(row)}l-6 -3.5v7z`);
      const group = svg("g", { "data-rows": [from, ...to].join(" ") }, [
        svg("path", { d: start + ends.join("") }), svg("path", { d: heads.join(""), class: "head" }),
      ]);
      parts.push(group);
    }
    drawing.style.setProperty("--gutter", `${width}px`);
    const viewBox = `0 0 ${width} ${height}`;
    drawing.querySelector(".plot").append(
      svg("svg", { class: "arcs", viewBox, preserveAspectRatio: "none", "aria-hidden": "true" }, parts),
    );
    shown.rows.forEach(({ element }, row) => { element.archcheckRow = row; });
  };

  // The arcs of the row under the pointer, or of the one that has the focus, stand out.
  const light = (event) => {
    const row = event.target.closest?.(".layer")?.archcheckRow;
    for (const group of event.currentTarget.querySelectorAll(".arcs g")) {
      group.classList.toggle("lit", row !== undefined && group.dataset.rows.split(" ").includes(String(row)));
    }
  };

  const prepare = (inside) => {
    for (const drawing of inside.querySelectorAll(".drawing.has-arcs:not([data-drawn])")) {
      drawing.dataset.drawn = "";
      draw(drawing);
      let waiting = 0;
      drawing.addEventListener("toggle", () => {
        cancelAnimationFrame(waiting);
        waiting = requestAnimationFrame(() => draw(drawing));
      }, true);
      for (const name of ["mouseover", "focusin", "mouseleave"]) drawing.addEventListener(name, light);
    }
  };

  // ------------------------------------------------------------------ networks: unpacked when opened, and folded
  const unpacked = async (text) => {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };
  const fold = (networks, inside = networks) => {
    const depth = networks.querySelector("select.depth")?.value;
    if (depth) inside.querySelectorAll("details.rows").forEach((one) => { one.open = one.dataset.level < depth - 1; });
  };
  const show = async (networks, spec) => {
    const packed = spec.querySelector("[data-packed]");
    if (packed) {
      const text = packed.dataset.packed;
      packed.removeAttribute("data-packed");
      packed.innerHTML = await unpacked(text);
      fold(networks, spec);
    }
    prepare(spec);
  };
  const begin = (networks) => {
    if ("begun" in networks.dataset) return;
    networks.dataset.begun = "";
    networks.classList.add("has-script");
    const specs = networks.querySelectorAll("details.spec");
    specs.forEach((spec) => {
      if (spec.open) show(networks, spec);
      spec.addEventListener("toggle", () => { if (spec.open) show(networks, spec); });
    });
    if (!specs.length) prepare(networks);
    networks.querySelector("select.depth")?.addEventListener("input", () => fold(networks));
    networks.querySelector("select.colour")?.addEventListener("input", (event) => {
      networks.classList.toggle("by-memory", event.target.value === "memory");
    });
  };
  document.querySelectorAll(".archcheck .networks").forEach(begin);
  globalThis.archcheckUnpacked = unpacked;
})();

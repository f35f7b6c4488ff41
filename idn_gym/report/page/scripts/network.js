// The network as a picture, with a slider through slots; its place is made as those of `views`.

function network(parent, level, part) {
  const place = view(parent, level, "What each node holds", "A node is a tank of memory, filled by what it holds, coloured by task. Choose a node to list it.");
  place.plot.removeAttribute("role");
  place.plot.removeAttribute("aria-label");
  const details = make("div", { class: "node", "aria-live": "polite" });
  place.below.append(details);
  let setting = null, agent = null, stop = 0, cell = null;
  const held = () => { // numbers of the placements at this stop
    const found = new Set();
    for (const frame of setting.network.frames[agent].slice(0, stop + 1)) for (const n of frame) if (!found.delete(n)) found.add(n);
    return found;
  };
  const picture = () => {
    const net = setting.network;
    const byNode = net.nodes.map(() => []);
    for (const n of held()) byNode[net.placed[n][0]].push(net.placed[n]);
    for (const list of byNode) list.sort((a, b) => a[2] - b[2]);
    const width = place.plot.clientWidth || 640;
    const LEFT = width > 640 ? 74 : 0, TANK = 54, least = 26;
    const lines = []; // rows, broken where they have more cells than there is room for
    for (const row of net.rows) {
      const most = Math.max(1, Math.floor((width - LEFT) / least)), parts = Math.ceil(row.cells.length / most);
      const size = Math.ceil(row.cells.length / parts);
      for (let n = 0; n < parts; n++) lines.push({ name: n ? "" : row.name, cells: row.cells.slice(n * size, (n + 1) * size) });
    }
    const high = TANK + 62, head = LEFT ? 20 : 34;
    const svg = document.createElementNS(SVG, "svg");
    for (const [k, v] of Object.entries({ class: "network", viewBox: `0 0 ${width} ${head + high * lines.length}`, role: "group", "aria-label": "network" })) svg.setAttribute(k, v);
    const links = draw("g", { stroke: "#c4c4c4", "stroke-width": 1, fill: "none" }, svg), at = [];
    lines.forEach((row, n) => {
      const y = head + n * high, pitch = (width - LEFT) / row.cells.length;
      if (row.name) draw("text", { class: "tier", x: 0, y: LEFT ? y + TANK / 2 + 4 : y - 18 }, svg).textContent = row.name;
      row.cells.forEach((nodes, c) => {
        const x = LEFT + (c + 0.5) * pitch, w = Math.min(0.84 * pitch, 120);
        for (const v of nodes) at[v] = [x, y];
        const budget = nodes.reduce((sum, v) => sum + net.nodes[v].budget, 0);
        const models = nodes.flatMap((v) => byNode[v]), used = models.reduce((sum, one) => sum + one[3], 0);
        const name = nodes.length > 1 ? `\u00d7${nodes.length}` : net.nodes[nodes[0]].name;
        const says = budget ? `${Math.round((100 * used) / budget)}%` : nodes.some((v) => net.nodes[v].repository) ? "repository" : "no memory";
        const group = draw("g", { role: "button", tabindex: 0, "aria-pressed": String(cell === nodes), "aria-label": `${nodes.length > 1 ? `${nodes.length} nodes` : name}: ${says}, ${models.length} models` }, svg);
        draw("rect", { x: x - w / 2, y, width: w, height: TANK, fill: budget ? "white" : "#f0f0ee" }, group);
        let top = y + TANK;
        const kinds = new Map(); // one box per model of a node, per task of several
        models.forEach((one, i) => { const k = nodes.length > 1 ? one[2] : i; kinds.set(k, [(kinds.get(k)?.[0] ?? 0) + one[3], one]); });
        for (const [mb, one] of kinds.values()) {
          const h = budget ? (mb / budget) * TANK : 0;
          top -= h;
          draw("rect", { x: x - w / 2, y: top, width: w, height: h, fill: net.tasks[one[2]].colour, stroke: h >= 3 ? "white" : "none", "stroke-width": 0.6 }, group);
        }
        draw("rect", { class: "frame", x: x - w / 2, y, width: w, height: TANK, fill: "none", stroke: "#6b6b6b" }, group);
        if (pitch >= 34) draw("text", { x, y: y - 5, "text-anchor": "middle" }, group).textContent = name.length * 6.2 <= pitch ? name : `${name.slice(0, Math.floor(pitch / 6.2) - 1)}\u2026`;
        if (budget || pitch >= 60) draw("text", { class: "faint", x, y: y + TANK + 13, "text-anchor": "middle" }, group).textContent = pitch < 36 ? says.replace("%", "") : says;
        draw("title", {}, group).textContent = `${name}: ${says}`;
        const pick = () => { cell = nodes; picture(); svgFocus(nodes); };
        group.addEventListener("click", pick);
        group.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick(); } });
        group.nodes = nodes;
      });
    });
    for (const [a, b] of net.links) {
      const [[ax, ay], [bx, by]] = at[a][1] <= at[b][1] ? [at[a], at[b]] : [at[b], at[a]];
      if (ay < by) draw("path", { d: `M${ax} ${ay + TANK + 17}L${bx} ${by - 17}` }, links);
      else if (ax !== bx) { const rise = Math.min(16, 6 + 0.05 * Math.abs(bx - ax)); draw("path", { d: `M${ax} ${ay - 16}C${ax} ${ay - 16 - rise} ${bx} ${ay - 16 - rise} ${bx} ${ay - 16}` }, links); }
    }
    place.plot.replaceChildren(svg);
    list(byNode);
  };
  const svgFocus = (nodes) => { for (const group of place.plot.querySelectorAll("g[role=button]")) if (group.nodes === nodes) group.focus(); };
  const list = (byNode) => {
    const net = setting.network;
    const nodes = cell, models = nodes.flatMap((v) => byNode[v]);
    const budget = nodes.reduce((sum, v) => sum + net.nodes[v].budget, 0), used = models.reduce((sum, one) => sum + one[3], 0);
    const names = nodes.slice(0, 6).map((v) => net.nodes[v].name).join(", ") + (nodes.length > 6 ? ` and ${nodes.length - 6} more` : "");
    const of = net.nodes[nodes[0]];
    const full = budget ? `${number(used)} of ${number(budget)} MB in use, ${Math.round((100 * used) / budget)} %` : of.repository ? "a repository, which has no budget" : "no memory";
    const counts = new Map();
    for (const one of models) counts.set(one[1], [(counts.get(one[1])?.[0] ?? 0) + 1, one]);
    const items = [...counts.values()].slice(0, 60).map(([count, one]) => make("li", {}, dot(net.tasks[one[2]].colour), `${one[1]}${count > 1 ? ` \u00d7${count}` : ""}, ${number(one[3] * count)} MB`));
    details.replaceChildren(make("strong", {}, names), `, tier ${of.tier}, ${of.processor}: ${full}; ${models.length} models`, make("ul", {}, ...items));
  };
  const slider = make("input", { type: "range", min: 0, value: 0, step: 1 });
  const said = make("output", {});
  const whose = make("select", {});
  place.controls.append(make("label", {}, "agent ", whose), make("label", {}, "slot ", slider, said));
  const tell = () => {
    const net = setting.network;
    said.textContent = `${net.stops[stop] + 1} of ${net.slots}`;
    slider.setAttribute("aria-valuetext", `slot ${said.textContent}`);
  };
  const update = () => {
    const there = setting && setting.network ? present(setting).filter((name) => setting.network.frames[name]) : [];
    place.element.hidden = !there.length;
    if (!there.length) return;
    const net = setting.network;
    if (!there.includes(agent)) agent = there[0];
    whose.replaceChildren(...there.map((name) => make("option", { value: name }, name)));
    whose.value = agent;
    slider.max = net.stops.length - 1;
    stop = Math.min(stop, net.stops.length - 1);
    slider.value = stop;
    if (!cell || !net.rows.some((row) => row.cells.includes(cell))) {
      const cells = net.rows.flatMap((row) => row.cells);
      cell = cells.find((nodes) => nodes.some((v) => net.nodes[v].budget > 0)) ?? cells[0];
    }
    tell();
    picture();
  };
  slider.addEventListener("input", () => { stop = Number(slider.value); tell(); picture(); });
  whose.addEventListener("change", () => { agent = whose.value; picture(); });
  listeners.push(() => update());
  return (now) => { if (now !== setting) { setting = now; stop = now && now.network ? now.network.stops.length - 1 : 0; } update(); };
}

// How agents look, and the one choice of them that drives plots and tables.

function swatch(look) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ width: 34, height: 14, "aria-hidden": "true" })) svg.setAttribute(key, value);
  draw("line", { x1: 1, y1: 7, x2: 33, y2: 7, stroke: look.colour, "stroke-width": 2, "stroke-dasharray": look.lengths }, svg);
  const marks = {
    circle: "M17 3a4 4 0 1 0 .01 0z", diamond: "M17 2l5 5-5 5-5-5z", "diamond-tall": "M17 2l3.2 5-3.2 5-3.2-5z",
    square: "M13 3h8v8h-8z", star: "M17 2l1.3 3.5 3.7.2-2.9 2.3 1 3.6-3.1-2-3.1 2 1-3.6-2.9-2.3 3.7-.2z",
    pentagon: "M17 2.5l4.5 3.3-1.7 5.2h-5.6l-1.7-5.2z", hexagon: "M17 2l4.3 2.5v5L17 12l-4.3-2.5v-5z",
    octagon: "M15.3 3h3.4L21 5.3v3.4L18.7 11h-3.4L13 8.7V5.3z", "triangle-up": "M17 2.5l4.8 8.5h-9.6z",
    "triangle-down": "M17 11.5l4.8-8.5h-9.6z", "triangle-left": "M12.5 7l8.5-4.8v9.6z",
    "triangle-right": "M21.5 7l-8.5-4.8v9.6z", cross: "M15.5 2.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
    x: "M14.5 2.5l2.5 2.5 2.5-2.5 2 2-2.5 2.5 2.5 2.5-2 2-2.5-2.5-2.5 2.5-2-2 2.5-2.5-2.5-2.5z",
  };
  const open = { "x-thin-open": "M13 3l8 8m0-8l-8 8", "cross-thin-open": "M17 2.5v9m-4.5-4.5h9" }[look.symbol];
  if (open) draw("path", { d: open, stroke: look.colour, "stroke-width": 2, fill: "none" }, svg);
  else if (look.symbol) draw("path", { d: marks[look.symbol], fill: look.colour }, svg);
  return svg;
}

function legend(agents) {
  return make("ul", { class: "legend" }, ...agents.map((agent) => make("li", {}, swatch(looks.get(agent)), agent)));
}

function choose() {
  const boxes = [...document.querySelectorAll("input[data-agent]")];
  chosen.clear();
  for (const box of boxes) if (box.checked) chosen.add(data.agents[Number(box.dataset.agent)].name);
  const count = document.getElementById("count");
  count.textContent = chosen.size === boxes.length ? `all ${boxes.length}` : `${chosen.size} of ${boxes.length}`;
  for (const row of document.querySelectorAll("tr[data-agent]")) row.hidden = !chosen.has(row.dataset.agent);
  for (const listener of listeners) listener();
}

function agentsBar() {
  const bar = document.getElementById("agents");
  if (!bar) return;
  for (const place of bar.querySelectorAll("[data-swatch]")) place.append(swatch(data.agents[Number(place.dataset.swatch)]));
  for (const box of bar.querySelectorAll("input[data-agent]")) box.addEventListener("change", choose);
  for (const [id, checked] of [["all", true], ["none", false]]) {
    document.getElementById(id).addEventListener("click", () => {
      for (const box of bar.querySelectorAll("input[data-agent]")) box.checked = checked;
      choose();
    });
  }
  bar.open = wide() && data.agents.length <= 16;
}

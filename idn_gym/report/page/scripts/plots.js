// What all plots share: layout, lines, bands, and the place where one stands.

function layout(more, height) {
  const { xaxis = {}, yaxis = {}, ...others } = more;
  const axis = { gridcolor: GRID, zerolinecolor: "#bdbdbd", linecolor: "#8a8a8a", automargin: true };
  return {
    font: FONT, height, paper_bgcolor: "white", plot_bgcolor: "white", showlegend: false,
    margin: { l: wide() ? 64 : 46, r: 14, t: 26, b: 44 }, dragmode: touch ? false : "zoom",
    hoverlabel: { font: { ...FONT, size: 11 }, namelength: -1, bgcolor: "white", bordercolor: "#8a8a8a" },
    xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis }, ...others,
  };
}

function title(text) { return { text, font: { ...FONT, size: 12 }, standoff: 8 }; }

function line(look, x, course, text, marks) {
  const hover = course[1] ? x.map((_, n) => `${number(course[1][n])} to ${number(course[2][n])}`) : undefined;
  return {
    type: "scatter", mode: marks ? "lines+markers" : "lines", name: literal(look.name), x, y: course[0],
    line: { color: look.colour, width: 2, dash: look.dash },
    marker: { color: look.colour, symbol: look.symbol, size: 7, line: { width: look.symbol.endsWith("open") ? 2 : 0, color: look.colour } },
    customdata: hover, connectgaps: false,
    hovertemplate: `%{y:.4~g}${hover ? " (%{customdata})" : ""}${text}`,
  };
}

function band(look, x, low, high) {
  const keep = x.map((_, n) => n).filter((n) => low[n] !== null && high[n] !== null);
  const at = keep.map((n) => x[n]);
  return {
    type: "scatter", mode: "lines", x: [...at, ...at.slice().reverse()],
    y: [...keep.map((n) => high[n]), ...keep.map((n) => low[n]).reverse()],
    fill: "toself", fillcolor: tint(look.colour, 0.15), line: { width: 0 }, hoverinfo: "skip",
  };
}



function view(parent, level, heading, ...about) {
  const element = make("div", { class: "view" }, make(`h${level}`, {}, heading));
  for (const text of about) element.append(make("p", { class: "caption" }, text));
  const controls = make("div", { class: "controls" });
  const plot = make("div", { class: "plot", role: "img", "aria-label": heading });
  const below = make("div");
  element.append(controls, plot, below);
  parent.append(element);
  return { element, controls, plot, below };
}

function present(setting) {
  return setting ? Object.keys(setting.agents).filter((agent) => chosen.has(agent)) : [];
}

function show(place, traces, more, height, agents) {
  place.below.replaceChildren();
  if (!traces.length) {
    Plotly.purge(place.plot);
    place.plot.replaceChildren(make("p", { class: "empty" }, "Nothing to show for these agents and this setting."));
    return;
  }
  if (place.plot.querySelector(".empty")) place.plot.replaceChildren();
  Plotly.react(place.plot, traces, { ...layout(more, height), width: place.plot.clientWidth || PAPER }, CONFIG);
  if (agents) place.below.append(legend(agents));
}

function spread(values) { // a range that shows them with a little room
  const low = Math.min(...values), high = Math.max(...values);
  const room = 0.06 * (high - low) || 0.06 * Math.max(Math.abs(high), 1);
  return [low - room, high + room];
}

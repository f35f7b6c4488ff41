"use strict";
// The views of a page: what is drawn from its data, for the agents that are chosen. Names are text, never markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const looks = new Map(data.agents.map((look) => [look.name, look]));
  const chosen = new Set(looks.keys());
  const listeners = []; // what is drawn anew when other agents are chosen
  const SVG = "http://www.w3.org/2000/svg";
  const INK = "#222222", MUTED = "#5c5c5c", GRID = "#e3e3e3";
  const FONT = { family: "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif", size: 12, color: INK };
  const CONFIG = { displaylogo: false, responsive: true, displayModeBar: false };
  const MARKS = 8; // on a line, about
  const wide = () => window.innerWidth > 640;
  const touch = window.matchMedia("(pointer: coarse)").matches;

  // ---- small things

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  function draw(tag, attributes, parent) {
    const element = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    parent.append(element);
    return element;
  }

  function literal(text) { // for Plotly, which reads some markup in what it writes
    return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  function brief(text, room) {
    return text.length <= room ? text : `${text.slice(0, room - 9)}\u2026${text.slice(-8)}`;
  }

  function number(value, digits = 4) {
    return value === null || value === undefined ? "-" : value.toLocaleString("en", { maximumSignificantDigits: digits });
  }

  function tint(colour, alpha) {
    const part = (at) => parseInt(colour.slice(at, at + 2), 16);
    return `rgba(${part(1)},${part(3)},${part(5)},${alpha})`;
  }

  function select(label, options, change) { // options: [value, text]
    const list = make("select", {}, ...options.map(([value, text]) => make("option", { value }, text)));
    list.addEventListener("change", () => change(list.value));
    return make("label", {}, `${label} `, list);
  }

  // ---- agents

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
    else draw("path", { d: marks[look.symbol], fill: look.colour }, svg);
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

  // ---- tables

  function value(cell) { // of a figure: its first number; nothing is less than any
    const found = cell.textContent.replace(/,/g, "").match(/-?\d+(\.\d+)?(e[+-]?\d+)?/i);
    return found ? Number(found[0]) : -Infinity;
  }

  function sortable(table) {
    const headers = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    const column = headers.findIndex((header) => header.textContent === "agent");
    if (column >= 0) {
      for (const row of body.rows) {
        const text = row.cells[column].textContent;
        const agent = looks.has(text) ? text : text.replace(/ \*$/, "");
        if (looks.has(agent)) row.dataset.agent = agent;
      }
    }
    headers.forEach((header, n) => header.firstElementChild.addEventListener("click", () => {
      const figures = header.classList.contains("figure");
      const before = header.getAttribute("aria-sort");
      const up = before === "none" ? !figures : before === "descending"; // figures: the largest first
      for (const other of headers) other.setAttribute("aria-sort", "none");
      header.setAttribute("aria-sort", up ? "ascending" : "descending");
      const texts = new Intl.Collator("en", { numeric: true });
      const compare = (a, b) => figures ? value(a.cells[n]) - value(b.cells[n]) || 0
        : texts.compare(a.cells[n].textContent, b.cells[n].textContent);
      body.append(...[...body.rows].sort((a, b) => (up ? compare(a, b) : compare(b, a))));
    }));
  }

  // ---- plots

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

  // ---- the views of a part; each is {title, controls, update(setting)} over one element

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
    Plotly.react(place.plot, traces, layout(more, height), CONFIG);
    if (agents) place.below.append(legend(agents));
  }

  function spread(values) { // a range that shows them with a little room
    const low = Math.min(...values), high = Math.max(...values);
    const room = 0.06 * (high - low) || 0.06 * Math.max(Math.abs(high), 1);
    return [low - room, high + room];
  }

  function overTime(parent, level, part) {
    const labels = { ntag: "gain per request, averaged so far (ms)", gain: "gain per request (ms)",
      net: "net gain per request (ms)", latency_ms: "latency per request (ms)", inaccuracy: "inaccuracy per request (points)",
      model_update_mb: "models loaded (MB per slot)", missed: "deadlines missed (share)", price_per_hour: "price of what is held (per hour)" };
    const there = new Set(part.settings.flatMap((one) => Object.values(one.agents).flatMap((agent) => Object.keys(agent.courses))));
    const several = part.settings.some((one) => one.seeds.length > 1);
    const place = view(parent, level, "Over time", ...(several ? ["Lines: means over seeds. Bands: 95% intervals of the mean."] : []));
    let key = "ntag", setting = null;
    const update = () => {
      const agents = present(setting).filter((agent) => setting.agents[agent].courses[key]);
      const bands = [], lines = [], settled = [];
      agents.forEach((agent, n) => {
        const look = looks.get(agent), course = setting.agents[agent].courses[key], x = setting.x;
        if (course[1]) bands.push(band(look, x, course[1], course[2]));
        lines.push({ ...line(look, x, course, "<extra>" + literal(brief(agent, 40)) + "</extra>", false), meta: agent });
        const every = Math.max(1, Math.floor(x.length / MARKS)), from = Math.floor((n * every) / agents.length);
        const at = x.map((_, i) => i).filter((i) => i % every === from);
        const marks = line(look, at.map((i) => x[i]), [at.map((i) => course[0][i])], "", true);
        lines.push({ ...marks, mode: "markers", hoverinfo: "skip", hovertemplate: undefined });
        const start = key === "ntag" ? Math.floor(x.length / 10) : 0; // an average over few slots scatters
        for (const values of course.slice(0, 1)) settled.push(...values.slice(start).filter((y) => y !== null));
      });
      const y = settled.length ? { range: spread(settled) } : {};
      show(place, [...bands, ...lines], {
        hovermode: wide() && agents.length <= 12 ? "x unified" : "closest",
        xaxis: { title: title("slots"), range: [0, setting ? setting.slots : 1], hoverformat: ",d" },
        yaxis: { title: title(labels[key]), ...y },
      }, 430, agents);
    };
    const options = Object.entries(labels).filter(([name]) => there.has(name));
    place.controls.append(select("show", options, (name) => { key = name; update(); }));
    listeners.push(() => update());
    return (now) => { setting = now; update(); };
  }

  function bars(parent, level, part) {
    const net = part.settings.some((one) => one.net);
    const word = net ? "Net gain" : "Gain";
    const place = view(parent, level, `${word} against what is certified`,
      `${word} per request of the run, ms. Lines: what no allocation of the kind exceeds, or what knowing the law earns.`);
    let setting = null;
    const update = () => {
      const agents = present(setting);
      const worth = (agent) => setting.agents[agent].worth;
      agents.sort((a, b) => worth(a)[0] - worth(b)[0]);
      const yardsticks = setting ? setting.yardsticks : [];
      const room = wide() ? 36 : 17;
      const traces = !agents.length ? [] : [{
        type: "bar", orientation: "h", y: agents.map((_, n) => n), x: agents.map((agent) => worth(agent)[0]),
        marker: { color: agents.map((agent) => looks.get(agent).colour) }, width: 0.62,
        error_x: { type: "data", symmetric: false, visible: agents.some((agent) => worth(agent).length > 1), color: INK, thickness: 1.2,
          array: agents.map((agent) => (worth(agent)[2] ?? worth(agent)[0]) - worth(agent)[0]),
          arrayminus: agents.map((agent) => worth(agent)[0] - (worth(agent)[1] ?? worth(agent)[0])) },
        customdata: agents.map((agent) => [literal(agent), ...yardsticks.map((one) => `${number(100 * worth(agent)[0] / one.value)} % of the ${one.name}`)].join("<br>")),
        hovertemplate: "%{customdata}<br>%{x:.5~g} ms<extra></extra>",
      }];
      const top = Math.max(0, ...agents.map((agent) => worth(agent)[2] ?? worth(agent)[0]), ...yardsticks.map((one) => one.value));
      const low = Math.min(0, ...agents.map((agent) => worth(agent)[1] ?? worth(agent)[0]));
      const dashes = ["dash", "longdash", "dot"];
      show(place, traces, {
        margin: { l: 20, r: 14, t: 8 + 18 * yardsticks.length, b: 44 },
        xaxis: { title: title(`${word.toLowerCase()} per request (ms)`), range: [low * 1.05, top * 1.06 || 1] },
        yaxis: { tickvals: agents.map((_, n) => n), ticktext: agents.map((agent) => literal(brief(agent, room))), showgrid: false, zeroline: false, range: [-0.6, agents.length - 0.4] },
        shapes: yardsticks.map((one, n) => ({ type: "line", x0: one.value, x1: one.value, y0: 0, y1: 1, yref: "paper", line: { color: INK, width: 1.5, dash: dashes[n] } })),
        annotations: yardsticks.map((one, n) => ({ x: one.value, y: 1, yref: "paper", yanchor: "bottom", yshift: 18 * n, xanchor: "right", showarrow: false, text: `${one.name} ${number(one.value)}`, font: { ...FONT, size: 11 } })),
      }, 80 + 18 * yardsticks.length + 26 * agents.length);
      if (!yardsticks.length && agents.length) place.below.append(make("p", { class: "caption" }, "No bound was proved on these streams: with --agent optimum in the run it stands here."));
    };
    listeners.push(() => update());
    return (now) => { setting = now; update(); };
  }

  function costs(parent, level, part) {
    const priced = part.settings.some((one) => Object.values(one.agents).some((agent) => agent.costs.price !== undefined));
    const held = part.settings.some((one) => Object.values(one.agents).some((agent) => agent.costs.per_hour !== undefined));
    const place = view(parent, level, "What a request costs, and what is loaded for it");
    const PARTS = [["latency", "latency", "#33526e"], ["inaccuracy", "inaccuracy x alpha", "#c98a2b"], ...(priced ? [["price", "price x price_weight", "#7a5c86"]] : [])];
    let setting = null;
    const update = () => {
      const agents = present(setting);
      const cost = (agent) => setting.agents[agent].costs;
      const total = (agent) => PARTS.reduce((sum, [key]) => sum + (cost(agent)[key] ?? 0), 0);
      agents.sort((a, b) => total(b) - total(a));
      const panels = [["cost of a request (ms)", PARTS], ["loaded (MB per slot)", [["loaded", "loaded", "#6b7f6a"]]], ...(held ? [["held (price per hour)", [["per_hour", "price per hour", "#7a5c86"]]]] : [])];
      const beside = wide(), each = 24 * agents.length, room = wide() ? 30 : 17;
      const more = { barmode: "stack", margin: { l: 20, r: 14, t: 8, b: 44 }, annotations: [] };
      const traces = [];
      const height = beside ? 70 + each : panels.length * (each + 64);
      const gap = beside ? 0.04 : 64 / height;
      const sizes = beside ? (panels.length === 2 ? [0.66, 0.34] : [0.5, 0.25, 0.25]) : panels.map(() => 1 / panels.length);
      let from = beside ? 0 : 1;
      panels.forEach(([heading, parts], n) => {
        const suffix = n ? String(n + 1) : "";
        const domain = beside ? [from + (n ? gap : 0), from + sizes[n]] : [Math.max(0, from - sizes[n] + gap), from];
        from += beside ? sizes[n] : -sizes[n];
        more[`xaxis${suffix}`] = { title: title(heading), rangemode: "tozero", anchor: `y${suffix}`, gridcolor: GRID, nticks: 6, ...(beside ? { domain } : {}) };
        more[`yaxis${suffix}`] = { tickvals: agents.map((_, at) => at), ticktext: agents.map((agent) => literal(brief(agent, room))), showgrid: false, zeroline: false, automargin: true, anchor: `x${suffix}`,
          showticklabels: !beside || n === 0, range: [-0.6, agents.length - 0.4], ...(beside ? {} : { domain }) };
        if (agents.length) for (const [key, name, colour] of parts) {
          traces.push({ type: "bar", orientation: "h", xaxis: `x${suffix}`, yaxis: `y${suffix}`, width: 0.62, marker: { color: colour },
            y: agents.map((_, at) => at), x: agents.map((agent) => cost(agent)[key] ?? null), customdata: agents.map(literal),
            hovertemplate: `%{customdata}<br>${name}: %{x:.4~g}<extra></extra>` });
        }
      });
      show(place, traces, more, height);
      place.below.append(make("ul", { class: "legend" }, ...PARTS.map(([, name, colour]) => make("li", {}, dot(colour), name))));
    };
    listeners.push(() => update());
    return (now) => { setting = now; update(); };
  }

  function dot(colour) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("class", "dot");
    svg.setAttribute("viewBox", "0 0 10 10");
    svg.setAttribute("aria-hidden", "true");
    draw("rect", { width: 10, height: 10, fill: colour }, svg);
    return svg;
  }

  function services(parent, level, part) {
    if (!part.settings.some((one) => one.services)) return () => {};
    const place = view(parent, level, "Gain by service", "Gain per request of the service, ms.");
    let setting = null;
    const update = () => {
      const found = setting && setting.services;
      const agents = found ? present(setting) : [];
      const most = 30, names = found ? found.names.slice(0, most) : [];
      const traces = agents.map((agent) => {
        const look = looks.get(agent);
        return { type: "scatter", mode: "markers", name: literal(agent), y: names.map((_, n) => n), x: found.agents[agent].slice(0, most),
          marker: { color: look.colour, symbol: look.symbol, size: 10, line: { width: look.symbol.endsWith("open") ? 2.5 : 0, color: look.colour } },
          text: names.map(literal), hovertemplate: `${literal(agent)}<br>%{text}: %{x:.4~g} ms<extra></extra>` };
      });
      show(place, traces, {
        margin: { l: 20, r: 14, t: 8, b: 44 }, xaxis: { title: title("gain per request (ms)"), rangemode: "tozero" },
        yaxis: { tickvals: names.map((_, n) => n), ticktext: names.map((name) => literal(brief(name, wide() ? 36 : 17))), range: [names.length - 0.4, -0.6], zeroline: false },
      }, 90 + 30 * names.length, agents);
      if (found && found.names.length > most) place.below.append(make("p", { class: "caption" }, `The first ${most} of ${found.names.length} services; the tables have all.`));
    };
    listeners.push(() => update());
    return (now) => { setting = now; update(); };
  }

  function sweep(parent, level, part, at) {
    const place = view(parent, level, part.axes[0].key === "folder" ? "Side by side" : "Settings compared", "Means over seeds; bands and bars are 95% intervals of the mean.");
    let key = part.figures[0].key, along = part.axes.reduce((most, axis, n) => (axis.values.length > part.axes[most].values.length ? n : most), 0);
    const update = () => {
      const axis = part.axes[along], numbers = axis.values.map(Number);
      const numeric = axis.values.every((text) => text !== "") && numbers.every(Number.isFinite);
      const line_of = part.settings.filter((one) => one.at.every((index, n) => n === along || index === at[n])).sort((a, b) => a.at[along] - b.at[along]);
      const agents = [...looks.keys()].filter((agent) => chosen.has(agent) && line_of.some((one) => one.agents[agent]?.figures[key]));
      const traces = [];
      agents.forEach((agent, n) => {
        const look = looks.get(agent), there = line_of.filter((one) => one.agents[agent]?.figures[key]);
        const figures = there.map((one) => one.agents[agent].figures[key]);
        const shift = numeric ? 0 : 0.6 * ((n + 0.5) / agents.length - 0.5);
        const x = there.map((one) => (numeric ? numbers[one.at[along]] : one.at[along] + shift));
        const column = (i) => figures.map((figure) => figure[i] ?? null);
        const course = [column(0), ...(figures.some((figure) => figure.length > 1) ? [column(1), column(2)] : [])];
        if (numeric && course[1]) traces.push(band(look, x, course[1], course[2]));
        const drawn = line(look, x, course, `<extra>${literal(brief(agent, 40))}</extra>`, true);
        if (!numeric) drawn.mode = "markers";
        if (!numeric && course[1]) {
          drawn.error_y = { type: "data", symmetric: false, color: look.colour, thickness: 1.2, width: 3,
            array: figures.map((figure) => (figure[2] ?? figure[0]) - figure[0]), arrayminus: figures.map((figure) => figure[0] - (figure[1] ?? figure[0])) };
        }
        traces.push(drawn);
      });
      const log = numeric && Math.min(...numbers) > 0 && Math.max(...numbers) >= 20 * Math.min(...numbers);
      const ticks = numeric ? (log || numbers.length <= 8 ? { tickvals: numbers, ticktext: axis.values.map(literal) } : {})
        : { tickvals: axis.values.map((_, n) => n), ticktext: axis.values.map((text) => literal(brief(text, wide() ? 28 : 18))), range: [-0.5, axis.values.length - 0.5], showgrid: false };
      show(place, traces, {
        hovermode: "closest", xaxis: { title: title(literal(axis.key)), type: log ? "log" : "linear", ...ticks, zeroline: false },
        yaxis: { title: title(part.figures.find((one) => one.key === key).label) },
      }, 430, agents);
    };
    place.controls.append(select("show", part.figures.map((one) => [one.key, one.label]), (name) => { key = name; update(); }));
    if (part.axes.length > 1) {
      const list = select("along", part.axes.map((axis, n) => [n, axis.key]), (n) => { along = Number(n); update(); });
      list.lastElementChild.value = String(along);
      place.controls.append(list);
    }
    listeners.push(() => update());
    return update;
  }

  // ---- the network

  function network(parent, level, part) {
    const place = view(parent, level, "What each node holds", "A node is a tank of memory, filled by what it holds, coloured by task. Choose a node to list it.");
    place.plot.removeAttribute("role");
    place.plot.removeAttribute("aria-label");
    const details = make("div", { class: "node", "aria-live": "polite" });
    place.below.append(details);
    let setting = null, agent = null, stop = 0, cell = null, width = 0;
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
      width = place.plot.clientWidth || 640;
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
          if (pitch >= 34) draw("text", { x, y: y - 5, "text-anchor": "middle" }, group).textContent = brief(name, Math.max(4, Math.floor(pitch / 7)) + (pitch > 80 ? 0 : 0)).slice(0, Math.floor(pitch / 6.2));
          if (pitch >= 30 && (budget || pitch >= 60)) draw("text", { class: "faint", x, y: y + TANK + 13, "text-anchor": "middle" }, group).textContent = says;
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
    window.addEventListener("resize", () => { if (!place.element.hidden && Math.abs(place.plot.clientWidth - width) > 8) picture(); });
    listeners.push(() => update());
    return (now) => { if (now !== setting) { setting = now; stop = now && now.network ? now.network.stops.length - 1 : 0; } update(); };
  }

  // ---- a part: its choice of a setting, and the views of it

  function partOf(place) {
    const part = data.parts[place.dataset.part];
    const level = Math.min(6, Number(place.parentElement.querySelector("h2,h3,h4,h5").tagName[1]) + 1);
    const at = part.axes.map(() => 0), updates = [];
    if (part.settings.length) at.splice(0, at.length, ...part.settings[0].at);
    const update = () => {
      const setting = part.settings.find((one) => one.at.every((index, n) => index === at[n])) ?? null;
      for (const one of updates) one(setting);
    };
    const course = part.settings.some((one) => one.x);
    if (part.axes.length) {
      const bar = make("div", { class: "controls settings" }, make("span", {}, "Setting shown below:"));
      part.axes.forEach((axis, n) => {
        const list = select(axis.key, axis.values.map((text, i) => [i, text]), (i) => { at[n] = Number(i); update(); });
        list.lastElementChild.value = String(at[n]);
        bar.append(list);
      });
      if (course || part.axes.length > 1) place.append(bar);
      updates.push(sweep(place, level, part, at));
    }
    if (course) {
      for (const one of [bars, overTime, costs, services, network]) updates.push(one(place, level, part));
    }
    update();
  }

  // ---- begin

  agentsBar();
  for (const table of document.querySelectorAll("table")) sortable(table);
  const waiting = new Set(document.querySelectorAll(".views"));
  const begin = (place) => { if (waiting.delete(place)) partOf(place); };
  const seen = new IntersectionObserver((entries) => { for (const entry of entries) if (entry.isIntersecting) begin(entry.target); }, { rootMargin: "800px" });
  for (const place of waiting) seen.observe(place);
  const fit = (paper) => {
    for (const plot of document.querySelectorAll(".js-plotly-plot")) Plotly.relayout(plot, paper ? { width: 680, autosize: false } : { width: null, autosize: true });
  };
  window.addEventListener("beforeprint", () => {
    for (const place of [...waiting]) begin(place);
    for (const details of document.querySelectorAll("main details")) details.open = true;
    fit(true);
  });
  window.addEventListener("afterprint", () => fit(false));
  document.documentElement.dataset.ready = "";
})();

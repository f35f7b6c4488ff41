// The plots of a part: each makes its place in `parent`, and gives what draws a setting there.

const COURSES = {
  ntag: "gain per request, averaged so far (ms)", gain: "gain per request (ms)", net: "net gain per request (ms)",
  latency_ms: "latency per request (ms)", inaccuracy: "inaccuracy per request (points)", model_update_mb: "models loaded (MB per slot)",
  missed: "deadlines missed (share)", price_per_hour: "price of what is held (per hour)",
};

function settled(key, course) { // what the axis shows of a course: an average over few slots scatters
  return course[0].slice(key === "ntag" ? Math.floor(course[0].length / 10) : 0).filter((y) => y !== null);
}

function overTime(parent, level, part) {
  const there = new Set(part.settings.flatMap((one) => Object.values(one.agents).flatMap((agent) => Object.keys(agent.courses))));
  const several = part.settings.some((one) => one.seeds.length > 1);
  const place = view(parent, level, "Over time", ...(several ? ["Lines: means over seeds. Bands: 95% intervals of the mean."] : []));
  let key = "ntag", setting = null;
  const update = () => {
    const agents = present(setting).filter((agent) => setting.agents[agent].courses[key]);
    const bands = [], lines = [], ends = [];
    agents.forEach((agent, n) => {
      const look = looks.get(agent), course = setting.agents[agent].courses[key], x = setting.x;
      if (course[1]) bands.push(band(look, x, course[1], course[2]));
      lines.push({ ...line(look, x, course, "<extra>" + literal(brief(agent, 40)) + "</extra>", false), meta: agent });
      const every = Math.max(1, Math.floor(x.length / MARKS)), from = Math.floor((n * every) / agents.length);
      const at = x.map((_, i) => i).filter((i) => i % every === from);
      const marks = line(look, at.map((i) => x[i]), [at.map((i) => course[0][i])], "", true);
      lines.push({ ...marks, mode: "markers", hoverinfo: "skip", hovertemplate: undefined });
      ends.push(...settled(key, course));
    });
    const y = ends.length ? { range: spread(ends) } : {};
    show(place, [...bands, ...lines], {
      hovermode: wide() && agents.length <= 12 ? "x unified" : "closest",
      xaxis: { title: title("slots"), range: [0, setting ? setting.slots : 1], hoverformat: ",d" },
      yaxis: { title: title(COURSES[key]), ...y },
    }, 430, agents);
  };
  const options = Object.entries(COURSES).filter(([name]) => there.has(name));
  place.controls.append(select("show", options, (name) => { key = name; update(); }));
  listeners.push(() => update());
  return (now) => { setting = now; update(); };
}

function together(parent, level, part) { // folders that have one setting each: a colour is an agent, a kind of line a folder
  const KINDS = ["", "7px,3px", "2px,3px", "9px,3px,2px,3px"];
  const folders = part.together, there = new Set(folders.flatMap((one) => Object.values(one.courses).flatMap(Object.keys)));
  const place = view(parent, level, "Over time, by folder", "A colour is an agent, a kind of line a folder.");
  let key = "ntag";
  const update = () => {
    const traces = [], ends = [];
    folders.forEach((folder, n) => {
      for (const [agent, courses] of Object.entries(folder.courses)) {
        if (!chosen.has(agent) || !courses[key]) continue;
        const look = { ...looks.get(agent), dash: KINDS[n] || "solid" };
        traces.push(line(look, folder.x, courses[key], `<extra>${literal(`${brief(agent, 30)}, ${brief(folder.name, 24)}`)}</extra>`, false));
        ends.push(...settled(key, courses[key]));
      }
    });
    const agents = [...looks.keys()].filter((agent) => chosen.has(agent) && folders.some((one) => one.courses[agent]?.[key]));
    show(place, traces, {
      hovermode: "closest", xaxis: { title: title("slots"), range: [0, Math.max(...folders.map((one) => one.slots))] },
      yaxis: { title: title(COURSES[key]), ...(ends.length ? { range: spread(ends) } : {}) },
    }, 430);
    if (!traces.length) return;
    const plain = { colour: INK, symbol: "" };
    place.below.append(
      make("ul", { class: "legend" }, ...folders.map((one, n) => make("li", {}, swatch({ ...plain, lengths: KINDS[n].replace(/px/g, "") }), one.name))),
      make("ul", { class: "legend" }, ...agents.map((agent) => make("li", {}, swatch({ ...looks.get(agent), symbol: "", lengths: "" }), agent))),
    );
  };
  place.controls.append(select("show", Object.entries(COURSES).filter(([name]) => there.has(name)), (name) => { key = name; update(); }));
  listeners.push(update);
  return update;
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
    const height = beside ? 52 + each : 52 + panels.length * each + (panels.length - 1) * 64;
    const gap = beside ? 0.04 : 64 / (height - 52); // between panels: the axis of the upper one
    const sizes = beside ? (panels.length === 2 ? [0.66, 0.34] : [0.5, 0.25, 0.25]) : panels.map(() => (1 - gap * (panels.length - 1)) / panels.length);
    let from = beside ? 0 : 1;
    panels.forEach(([heading, parts], n) => {
      const suffix = n ? String(n + 1) : "";
      const domain = beside ? [from + (n ? gap : 0), from + sizes[n]] : [Math.max(0, from - sizes[n]), from];
      from += beside ? sizes[n] : -sizes[n] - gap;
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
  const place = view(parent, level, part.axes[0].key === "folder" ? "By folder" : "Settings compared", "Means over seeds; bands and bars are 95% intervals of the mean.");
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
      if (!numeric) Object.assign(drawn, { mode: "markers", marker: { ...drawn.marker, size: 10 } });
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

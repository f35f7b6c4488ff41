// Parts of the page, begun when they come near: the choice of a setting, and the views of it.

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
  if (part.together?.length) updates.push(together(place, level, part));
  if (course) {
    for (const one of [bars, overTime, costs, services, network]) updates.push(one(place, level, part));
  }
  update();
}

agentsBar();
for (const table of document.querySelectorAll("table")) sortable(table);
const waiting = new Set(document.querySelectorAll(".views"));
const begin = (place) => { if (waiting.delete(place)) partOf(place); };
const seen = new IntersectionObserver((entries) => { for (const entry of entries) if (entry.isIntersecting) begin(entry.target); }, { rootMargin: "800px" });
for (const place of waiting) seen.observe(place);
const redraw = () => { for (const listener of listeners) listener(); };
window.addEventListener("beforeprint", () => {
  for (const place of [...waiting]) begin(place);
  for (const details of document.querySelectorAll("main details")) details.open = true;
  for (const plot of document.querySelectorAll(".js-plotly-plot")) Plotly.relayout(plot, { width: PAPER });
});
window.addEventListener("afterprint", redraw);
let width = window.innerWidth, waits = 0;
window.addEventListener("resize", () => {
  if (window.innerWidth === width) return; // a phone hides its address bar
  width = window.innerWidth;
  clearTimeout(waits);
  waits = setTimeout(redraw, 120);
});
document.documentElement.dataset.ready = "";

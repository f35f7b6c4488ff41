// The data of the page, and what all scripts use. Names are text, never markup.

const data = JSON.parse(document.getElementById("data").textContent);
const looks = new Map(data.agents.map((look) => [look.name, look]));
const chosen = new Set(looks.keys());
const listeners = []; // what is drawn anew when other agents are chosen
const SVG = "http://www.w3.org/2000/svg";
const INK = "#222222", MUTED = "#5c5c5c", GRID = "#e3e3e3";
const FONT = { family: "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif", size: 12, color: INK };
const CONFIG = { displaylogo: false, displayModeBar: false };
const MARKS = 8; // on a line, about
const PAPER = 680; // pixels of a plot's width in print
const wide = () => window.innerWidth > 640;
const touch = window.matchMedia("(pointer: coarse)").matches;



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

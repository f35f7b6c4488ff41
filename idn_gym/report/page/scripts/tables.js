// Tables that sort by a click on a header.

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

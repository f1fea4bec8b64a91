// Sorting by a click on a column's head, and showing all mistakes. The page says everything without this script.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (!head.hasAttribute("aria-sort")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => {
        const cell = row.cells[column];
        return cell.dataset.value === undefined ? cell.textContent.trim().toLowerCase() : Number(cell.dataset.value);
      };
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => {
        const one = key(a), two = key(b);
        return (typeof one === "number" ? one - two : one.localeCompare(two)) * (down ? -1 : 1);
      });
      table.tBodies[0].append(...rows);
    });
  });
}
for (const list of document.querySelectorAll("ol.mistakes, ol.samples, ol.fillings")) {
  const hidden = list.querySelectorAll("li.more");
  if (!hidden.length) continue;
  list.classList.add("folded");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "unfold";
  button.textContent = `Show ${hidden.length} more`;
  button.addEventListener("click", () => { list.classList.remove("folded"); button.remove(); });
  list.after(button);
}

// Tables: sorted by a click on a heading, or by its key; columns that are folded away; text to the clipboard.
(() => {
  const valueOf = (row, column) => {
    const cell = row.querySelector(`[data-column="${column}"]`);
    const text = cell?.dataset.value ?? cell?.textContent.trim() ?? "";
    return text === "" ? null : Number.isNaN(Number(text)) ? text : Number(text);
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  for (const button of document.querySelectorAll("button[data-sort]")) {
    button.addEventListener("click", () => {
      const heading = button.closest("th"), table = button.closest("table"), column = button.dataset.sort;
      const up = heading.getAttribute("aria-sort") !== "ascending";
      for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows].sort((first, second) => {
        const a = valueOf(first, column), b = valueOf(second, column);
        if (a === null || b === null) return (a === null) - (b === null); // what is not there comes last
        return up ? compare(a, b) : compare(b, a);
      });
      table.tBodies[0].append(...rows);
    });
  }
  // Only with this script is anything folded: without it, every column stands there.
  for (const button of document.querySelectorAll("button[data-unfold]")) {
    const table = button.closest("section").querySelector("table");
    const fold = (folded) => { table.classList.toggle("folded", folded); button.setAttribute("aria-pressed", String(!folded)); };
    button.addEventListener("click", () => fold(!table.classList.contains("folded")));
    button.parentElement.hidden = false;
    fold(true);
  }
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = pageData.tables[Number(button.dataset.copy)].latex, name = button.textContent;
      try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; } catch { button.textContent = "Not allowed here"; }
      setTimeout(() => { button.textContent = name; }, 1500);
    });
  }
})();

// Two result folders: rows of the table by words and by verdict.
(() => {
  const rows = [...document.querySelectorAll("[data-row]")];
  const [find, verdict] = ["find", "verdict"].map((name) => document.querySelector(`[data-${name}]`));
  const shown = new Set(["A is better", "B is better", "they differ"]);
  function filter() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const figure = pageData.figures[row.dataset.row];
      const text = `${figure.measured} ${figure.label} ${figure.key}`.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word)) || (verdict.value === "apart" && !shown.has(figure.verdict))
        || (verdict.value === "unequal" && figure.verdict === "equal")
        || (verdict.value === "not comparable" && figure.verdict !== verdict.value);
      count += !row.hidden;
    }
    document.querySelector("[data-found]").textContent = `${count} of ${counted(rows.length, "figure")}`;
  }
  for (const field of [find, verdict]) field.addEventListener("input", filter);
  filter();
})();

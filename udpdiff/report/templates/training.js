// Training: curves of the chosen runs.
(() => {
  const hidden = new Set();
  const redraws = [...document.querySelectorAll("[data-panel]")].map((figure) => {
    const [group, panel] = figure.dataset.panel.split(" ").map(Number);
    return Charts.lines(figure, pageData.groups[group].panels[panel], (run) => !hidden.has(run));
  });
  for (const box of document.querySelectorAll("[data-run]")) {
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(box.dataset.run);
      else hidden.add(box.dataset.run);
      for (const redraw of redraws) redraw();
    });
  }
})();

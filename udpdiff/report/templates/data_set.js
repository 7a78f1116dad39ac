// The data set: histograms, spreads of label figures, curves of the codec, and the search over clips.
(() => {
  const MOST_ROWS = 10;
  for (const figure of document.querySelectorAll("[data-histogram]")) {
    Charts.bars(figure, pageData.histograms[figure.dataset.histogram]);
  }
  for (const figure of document.querySelectorAll("[data-spread]")) {
    const [section, index] = figure.dataset.spread.split(" ").map(Number);
    Charts.spread(figure, pageData.labels.sections[section].spreads[index]);
  }

  for (const figure of document.querySelectorAll("[data-codec]")) {
    const [group, index] = figure.dataset.codec.split(" ").map(Number);
    Charts.lines(figure, pageData.codec[group].panels[index]);
  }

  const rows = document.querySelector("[data-rows]");
  const [find, split, order] = ["find", "split", "order"].map((name) => document.querySelector(`[data-${name}]`));
  const pictures = new Map(pageData.films.map((item, index) => [item.clip_id, `#film-${index}`]));
  pageData.labels.sheet.forEach((item, index) => pictures.set(item.clip_id, `#sheet-${index}`));
  const clips = pageData.clips.map((clip) => ({ ...clip, words: `${clip.clip_id} ${clip.caption}`.toLowerCase() }));
  const figures = Object.keys(pageData.clip_figures);

  function row(clip) {
    const place = pictures.get(clip.clip_id);
    return make("tr", {},
      make("td", {}, place ? make("a", { href: place }, clip.clip_id) : clip.clip_id),
      make("td", {}, clip.split),
      make("td", { class: "long wide" }, clip.caption),
      figures.map((name) => make("td", { class: "value" }, Charts.number(clip.figures[name]))));
  }

  function search() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = clips.filter((clip) => (!split.value || clip.split === split.value)
      && words.every((word) => clip.words.includes(word)));
    if (order.value) {
      const [name, way] = order.value.split(" ");
      const sign = way === "up" ? 1 : -1;
      const known = (clip) => clip.figures[name] !== undefined;
      found.sort((a, b) => known(b) - known(a) || (known(a) ? sign * (a.figures[name] - b.figures[name]) : 0));
    }
    rows.replaceChildren(...found.slice(0, MOST_ROWS).map(row));
    document.querySelector("[data-found]").textContent = `${found.length} of ${clips.length} clips`;
  }
  for (const field of [find, split, order]) field.addEventListener("input", search);
  search();
})();

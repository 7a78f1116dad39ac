// The data set: histograms, spreads of label figures, curves of the codec, and the search over clips.
(() => {
  const ROWS = 10;
  const MOST_ROWS = 100; // at once: whoever looks for more than that narrows the search
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
  const [find, state, split, order] = ["find", "state", "split", "order"].map((name) => document.querySelector(`[data-${name}]`));
  const more = document.querySelector("[data-more]");
  const pictures = new Map(pageData.films.map((item, index) => [item.clip_id, `#film-${index}`]));
  pageData.labels.sheet.forEach((item, index) => pictures.set(item.clip_id, `#sheet-${index}`));
  const figures = Object.keys(pageData.clip_figures);
  const clips = everyClip();
  let shown = ROWS;

  // Clips of the source and those that were rejected, some of which are both: a labeller may refuse a clip.
  function everyClip() {
    const found = new Map(pageData.clips.map((clip) => [`${clip.split} ${clip.clip_id}`, { ...clip, lost: [] }]));
    for (const { clip_id, split, stage, reason } of pageData.funnel.rejections) {
      const key = `${split} ${clip_id}`;
      if (!found.has(key)) found.set(key, { clip_id, split, caption: "", figures: {}, lost: [] });
      found.get(key).lost.push(`${stage}: ${reason}`);
    }
    return [...found.values()].map((clip) => ({ ...clip, words: [clip.clip_id, clip.caption, ...clip.lost].join(" ").toLowerCase() }));
  }

  function row(clip) {
    const place = pictures.get(clip.clip_id);
    return make("tr", {},
      make("td", { class: "id" }, place ? make("a", { href: place }, clip.clip_id) : clip.clip_id),
      make("td", {}, clip.split),
      make("td", { class: "long" }, clip.lost.join("; ") || "no"),
      make("td", { class: "long wide" }, clip.caption),
      figures.map((name) => make("td", { class: "value" }, Charts.number(clip.figures[name]))));
  }

  function search() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = clips.filter((clip) => (!split.value || clip.split === split.value)
      && (!state.value || (state.value === "lost") === clip.lost.length > 0)
      && words.every((word) => clip.words.includes(word)));
    if (order.value) {
      const [name, way] = order.value.split(" ");
      const sign = way === "up" ? 1 : -1;
      const known = (clip) => clip.figures[name] !== undefined;
      found.sort((a, b) => known(b) - known(a) || (known(a) ? sign * (a.figures[name] - b.figures[name]) : 0));
    }
    rows.replaceChildren(...found.slice(0, shown).map(row));
    more.hidden = found.length <= shown || shown >= MOST_ROWS;
    document.querySelector("[data-found]").textContent = `${found.length.toLocaleString("en")} of ${counted(clips.length, "clip")}`;
  }

  for (const field of [find, state, split, order]) field.addEventListener("input", () => { shown = ROWS; search(); });
  more.addEventListener("click", () => { shown += ROWS; search(); });
  search();
})();

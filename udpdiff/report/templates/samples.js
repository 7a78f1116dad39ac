// The samples' page: which samples are shown, as the address says; tiles of one page of them at a time; one transport.
(() => {
  const { prompts, figures, pairs, base } = pageData;
  const form = document.querySelector("[data-filters]");
  const grid = document.querySelector("[data-grid]");
  const status = document.querySelector("[data-status]");
  const figureOf = new Map(figures.map((figure) => [figure.key, figure]));
  const withFilm = pairs.map((pair) => new Set(pair.film ? pair.film.prompts : []));
  const MOST_FILMS = 16; // decoding at once
  let page = 0, found = [], asked = 0, without = 0, watcher = null; // without: of those asked for, the samples without the figure

  const printed = (figure, value) => value === null || value === undefined ? "–"
    : (value / 10 ** figure.digits).toFixed(figure.digits).replace("-", "−") + (figure.unit ? ` ${figure.unit}` : "");
  const valueOf = (sample, key) => pairs[sample.pair].scores[key]?.[sample.prompt] ?? null;

  // State: the form's fields and the page, in the address behind #.
  function readAddress() {
    const state = new URLSearchParams(location.hash.slice(1));
    for (const field of form.elements) {
      if (!field.name) continue;
      if (field.type === "checkbox") field.checked = state.has(field.name) ? state.get(field.name) === "1" : field.defaultChecked;
      else if (state.has(field.name)) field.value = state.get(field.name);
      else if (field.tagName === "SELECT") field.value = [...field.options].find((option) => option.defaultSelected)?.value ?? field.options[0].value;
      else field.value = field.defaultValue;
      if (field.tagName === "SELECT" && field.selectedIndex < 0) field.selectedIndex = 0;
    }
    page = Math.max(0, Number(state.get("page") || 1) - 1);
  }
  function writeAddress() {
    const state = new URLSearchParams();
    for (const field of form.elements) {
      if (!field.name) continue;
      const value = field.type === "checkbox" ? (field.checked ? "1" : "0") : field.value;
      if (value !== "") state.set(field.name, value);
    }
    if (page) state.set("page", page + 1);
    const address = `#${state}`;
    if (address !== location.hash) history.replaceState(null, "", address);
  }

  // A figure with no better end has neither a worst nor a best value; addresses that ask for them get lowest and highest.
  function setOrders(figure) {
    const neutral = figure?.direction === "neither";
    for (const option of form.order.options) option.hidden = option.disabled = neutral && ["worst", "best"].includes(option.value);
    if (neutral) form.order.value = { worst: "low", best: "high" }[form.order.value] ?? form.order.value;
  }

  function whyNone() {
    const figure = figureOf.get(form.sort.value);
    if (!without || without < asked) return "No sample is like that.";
    const tasks = [...new Set(pairs.filter((pair) => figure.key in pair.scores).map((pair) => pair.phrase))];
    return `No sample is like that: ${figure.label} is a figure of ${tasks.join(" and ")}. Choose such samples or another figure.`;
  }

  function select() {
    const words = form.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const figure = figureOf.get(form.sort.value);
    for (const name of ["order", "low", "high"]) form[name].disabled = !figure; // of a figure alone
    const low = form.low.value === "" ? -Infinity : Number(form.low.value);
    const high = form.high.value === "" ? Infinity : Number(form.high.value);
    const texts = prompts.map((prompt) => `${prompt.id} ${prompt.text}`.toLowerCase());
    found = [];
    asked = without = 0;
    setOrders(figure);
    prompts.forEach((_, prompt) => {
      if (!words.every((word) => texts[prompt].includes(word))) return;
      pairs.forEach((pair, index) => {
        if (form.run.value && pair.run !== form.run.value) return;
        if (form.task.value && pair.task !== form.task.value) return;
        if (form.films.checked && !withFilm[index].has(prompt)) return;
        const sample = { prompt, pair: index };
        asked += 1;
        if (figure) {
          const value = valueOf(sample, figure.key);
          if (value === null) { without += 1; return; }
          if (value < low * 10 ** figure.digits || value > high * 10 ** figure.digits) return;
          sample.value = value;
        }
        found.push(sample);
      });
    });
    if (figure) {
      const order = form.order.value;
      const lowFirst = order === "low" || (order !== "high" && (order === "worst") === (figure.direction !== "lower"));
      found.sort((a, b) => lowFirst ? a.value - b.value : b.value - a.value);
    }
  }

  function streamsOf(pair) {
    if (pair.film.streams.length === 1) return [["video", ["video"]]];
    const decoded = pair.film.values === "ids" ? "decoded entities, over the video" : `decoded ${pair.task}`;
    return [["video", ["video"]], ["dense stream", ["dense"]], [decoded, ["video", "decoded"]]];
  }

  function wipe(stage, sample, films) {
    const other = form.against.value === "" ? -1 : Number(form.against.value);
    if (other < 0 || other === sample.pair || !withFilm[other].has(sample.prompt)) return null;
    const film = new Film(pairs[other], sample.prompt);
    const top = film.view(["video"], `The same prompt and noise by ${pairs[other].label}`);
    const slider = make("input", { type: "range", min: 0, max: 100, value: 50, class: "wipe", "aria-label": `Wipe: ${pairs[other].label} to the left, ${pairs[sample.pair].label} to the right` });
    const move = () => { top.style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`; stage.style.setProperty("--wipe", `${slider.value}%`); };
    slider.addEventListener("input", move);
    top.classList.add("wiped");
    stage.classList.add("wiping");
    stage.append(top, film.video, slider);
    films.push(film);
    move();
    return pairs[other].label;
  }

  function readOut(canvas, film, word) {
    const note = make("output", { class: "readout", "aria-live": "polite" });
    let place = [0.5, 0.5];
    const show = async (x, y) => {
      place = [x, y];
      const said = await film.at(x, y);
      if (place[0] !== x || place[1] !== y) return;
      note.textContent = word ? `${word} ${said}` : said;
      note.style.left = `${Math.min(x, 0.7) * 100}%`;
      note.style.top = `${Math.min(y, 0.85) * 100}%`;
    };
    canvas.addEventListener("pointermove", (event) => {
      const box = canvas.getBoundingClientRect();
      show((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    });
    canvas.addEventListener("pointerleave", () => { place = [0.5, 0.5]; note.textContent = ""; });
    canvas.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!by || !event.shiftKey) return;
      event.preventDefault();
      show(...place.map((at, axis) => Math.min(0.99, Math.max(0, at + by[axis] / 16))));
    });
    canvas.addEventListener("blur", () => { note.textContent = ""; });
    canvas.tabIndex = 0;
    return note;
  }

  function tile(sample) {
    const pair = pairs[sample.pair], prompt = prompts[sample.prompt], films = [];
    const streams = make("div", { class: "streams" });
    let against = null;
    if (withFilm[sample.pair].has(sample.prompt)) {
      const film = new Film(pair, sample.prompt);
      films.push(film);
      if (form.decoded.value) film.strength = Number(form.decoded.value);
      for (const [name, layers] of streamsOf(pair)) {
        const stage = make("div", { class: "stage" });
        const canvas = film.view(layers, `${name}: ${prompt.text}`);
        stage.append(canvas);
        if (name === "video") { stage.append(film.video); against = wipe(stage, sample, films); }
        if (layers.length > 1 && pair.film.values) stage.append(readOut(canvas, film, pair.film.values === "share" ? pair.task : ""));
        streams.append(make("figure", { class: "stream" }, stage, make("figcaption", {}, name === "video" && against ? `${against} | ${pair.label}` : name)));
      }
    } else streams.append(make("p", { class: "absent" }, "No film of this sample; its figures were measured."));
    const order = [form.sort.value, ...Object.keys(pair.scores)].filter((key, at, all) => key in pair.scores && all.indexOf(key) === at);
    const scores = (keys) => make("dl", { class: "scores" }, keys.map((key) => make("div", key === form.sort.value ? { class: "sorted" } : {},
      make("dt", {}, figureOf.get(key).label), make("dd", {}, printed(figureOf.get(key), valueOf(sample, key))))));
    const first = 6; // so that how much moves stands beside the consistencies
    const element = make("article", { class: "sample" },
      make("header", {}, make("strong", {}, pair.label), ` · ${pair.phrase}${pair.origin ? ` · ${pair.origin}` : ""}`, make("span", { class: "id" }, prompt.id)),
      streams, make("p", { class: "prompt" }, prompt.text), scores(order.slice(0, first)),
      order.length > first ? make("details", {}, make("summary", {}, `${order.length - first} more figure${order.length - first === 1 ? "" : "s"}`), scores(order.slice(first))) : null);
    return { element, films };
  }

  function show() {
    select();
    const each = form.against.value === "" ? 12 : MOST_FILMS / 2;
    const pages = Math.max(1, Math.ceil(found.length / each));
    page = Math.min(page, pages - 1);
    const shown = found.slice(page * each, (page + 1) * each).map(tile);
    watcher?.disconnect();
    for (const film of [...clock.films]) clock.remove(film);
    grid.replaceChildren(...shown.map(({ element }) => element));
    const filmsOf = new Map(shown.map(({ element, films }) => [element, films]));
    watcher = watch(filmsOf.keys(), (element) => filmsOf.get(element).forEach((film) => clock.add(film)),
      (element) => filmsOf.get(element).forEach((film) => clock.remove(film)));
    const first = page * each;
    status.textContent = found.length ? `${first + 1}–${first + shown.length} of ${counted(found.length, "sample")}` + (without ? `; ${without.toLocaleString("en")} without this figure ${without === 1 ? "is" : "are"} left out` : "") : whyNone();
    for (const button of document.querySelectorAll("[data-turn]")) {
      const to = page + Number(button.dataset.turn);
      button.disabled = to < 0 || to >= pages;
    }
    writeAddress();
  }

  // The transport: one clock for all tiles.
  const bar = document.querySelector("[data-transport]");
  const [toggle, scrubber, counter, speed] = ["toggle", "frame", "counter", "speed"].map((name) => bar.querySelector(`[data-${name}]`));
  const clock = new Clock(({ playing, frame, frames }) => {
    toggle.textContent = playing ? "Pause" : "Play";
    scrubber.max = frames - 1;
    scrubber.value = frame;
    counter.textContent = `${frame + 1} / ${frames}`;
  });
  toggle.addEventListener("click", () => clock.toggle());
  scrubber.addEventListener("input", () => { clock.playing = false; clock.seek(Number(scrubber.value)); });
  speed.addEventListener("change", () => { clock.speed = Number(speed.value); });
  addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest("input, select, button, summary, a")) return;
    const act = { " ": () => clock.toggle(), ArrowLeft: () => clock.step(-1), ArrowRight: () => clock.step(1) }[event.key];
    if (act) { event.preventDefault(); act(); }
  });

  form.addEventListener("input", () => { page = 0; show(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { page = 0; show(); }));
  for (const button of document.querySelectorAll("[data-turn]")) {
    button.addEventListener("click", () => { page += Number(button.dataset.turn); show(); grid.scrollIntoView({ block: "start" }); });
  }
  addEventListener("hashchange", () => { readAddress(); show(); });
  if (matchMedia("(max-width: 44rem)").matches) form.closest("details").open = false;
  readAddress();
  show();
  clock.shown(clock);
})();

// Charts of the report: lines, bars, spreads and a timeline, drawn as SVG from the numbers embedded in the page. Each is
// drawn at the width that it has, so that its text keeps its size, and is read by pointer and by arrow keys alike.
const Charts = (() => {
  "use strict";
  const NS = "http://www.w3.org/2000/svg";
  const EDGE = { left: 52, right: 10, top: 8, bottom: 34 };

  function node(name, attributes = {}, text = null) {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== null) made.textContent = text;
    return made;
  }

  function number(value) {
    if (value === null || value === undefined || !Number.isFinite(value)) return "–";
    const size = Math.abs(value);
    if (size === 0) return "0";
    if (size >= 10000) return value.toLocaleString("en", { maximumFractionDigits: 0 });
    if (size < 0.001) return value.toExponential(1);
    return String(Number(value.toPrecision(4)));
  }

  // `least`: of the steps between ticks.
  function linearTicks(low, high, count, least = 0) {
    const rough = (high - low) / count || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= Math.max(rough, least)) ?? least;
    const found = [];
    for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) {
      found.push(Math.abs(value) < step * 1e-9 ? 0 : value);
    }
    return found;
  }

  function logTicks(low, high) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power += 1) {
      for (const part of [1, 2, 5]) {
        const value = part * 10 ** power;
        if (value >= low && value <= high) found.push(value);
      }
    }
    return found.length > 1 ? found : linearTicks(low, high, 4);
  }

  function scale(low, high, from, to, log = false) {
    if (log) [low, high] = [Math.log(low), Math.log(high)];
    const span = high - low || 1;
    return (value) => from + (((log ? Math.log(value) : value) - low) / span) * (to - from);
  }

  function axes(svg, x, y, { width, height, xTicks, yTicks, xLabel, yText = number, xText = number }) {
    const bottom = height - EDGE.bottom;
    for (const value of yTicks) {
      svg.append(node("line", { class: "rule", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }));
      svg.append(node("text", { class: "tick", x: EDGE.left - 6, y: y(value) + 4, "text-anchor": "end" }, yText(value)));
    }
    for (const value of xTicks) {
      const text = xText(value);
      const place = Math.min(x(value), width - 3.6 * text.length); // a tick at the very end keeps its last digit
      svg.append(node("text", { class: "tick", x: place, y: bottom + 15, "text-anchor": "middle" }, text));
    }
    svg.append(node("line", { class: "axis", x1: EDGE.left, x2: width - EDGE.right, y1: bottom, y2: bottom }));
    const middle = (EDGE.left + width - EDGE.right) / 2;
    svg.append(node("text", { class: "tick", x: middle, y: height - 4, "text-anchor": "middle" }, xLabel));
  }

  // A chart in its figure: `draw(svg, width)` returns its stops [{x, y, text}], between which pointer and keys move.
  function mount(figure, name, height, draw) {
    const box = figure.querySelector(".canvas");
    const said = figure.querySelector("output");
    const resting = said.textContent;
    const svg = node("svg", { role: "img", "aria-label": `${name}. Arrow keys read values.`, tabindex: "0", class: "chart" });
    box.replaceChildren(svg);
    let stops = [];
    let at = -1;
    let cursor = null;

    function show(index) {
      at = index;
      cursor?.remove();
      cursor = null;
      said.textContent = index < 0 ? resting : stops[index].text;
      if (index < 0) return;
      const { x, y } = stops[index];
      const tall = Number(svg.getAttribute("height"));
      cursor = y === undefined
        ? node("line", { class: "cursor", x1: x, x2: x, y1: EDGE.top, y2: tall - EDGE.bottom })
        : node("circle", { class: "cursor", cx: x, cy: y, r: 6 });
      svg.append(cursor);
    }

    function redraw() {
      const width = Math.max(260, Math.floor(box.clientWidth));
      const tall = typeof height === "function" ? height(width) : height;
      svg.replaceChildren();
      svg.setAttribute("width", width);
      svg.setAttribute("height", tall);
      svg.setAttribute("viewBox", `0 0 ${width} ${tall}`);
      stops = draw(svg, width, tall);
      show(-1);
    }

    svg.addEventListener("pointermove", (event) => {
      const frame = svg.getBoundingClientRect();
      const [px, py] = [event.clientX - frame.left, event.clientY - frame.top];
      let best = -1;
      let least = Infinity;
      stops.forEach((stop, index) => {
        const away = (stop.x - px) ** 2 + (stop.y === undefined ? 0 : (stop.y - py) ** 2);
        if (away < least) [best, least] = [index, away];
      });
      show(best);
    });
    svg.addEventListener("pointerleave", () => show(-1));
    svg.addEventListener("keydown", (event) => {
      const last = stops.length - 1;
      const moved = {
        ArrowRight: Math.min(last, at + 1), ArrowLeft: at < 0 ? last : Math.max(0, at - 1),
        Home: last < 0 ? -1 : 0, End: last, Escape: -1,
      }[event.key];
      if (moved === undefined) return;
      event.preventDefault();
      show(moved);
    });
    let width = 0;
    new ResizeObserver(() => {
      if (box.clientWidth === width) return;
      width = box.clientWidth;
      redraw();
    }).observe(box);
    return redraw;
  }

  function path(points) {
    return points.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  }

  // panel: {title, x_label, x_log, log, curves: [{name, label, series, steps, values, low, high, marks, dashed}]}; shown: names.
  function lines(figure, panel, shown = () => true) {
    return mount(figure, panel.title, 230, (svg, width, height) => {
      const curves = panel.curves
        .filter((curve) => shown(curve.name))
        .map((curve) => ({ ...curve, points: curve.steps.map((step, index) => [step, curve.values[index], index])
          .filter(([, value]) => value !== null && (!panel.log || value > 0)) }))
        .filter((curve) => curve.points.length);
      if (!curves.length) {
        svg.append(node("text", { class: "tick", x: width / 2, y: height / 2, "text-anchor": "middle" }, "nothing to draw"));
        return [];
      }
      const ends = (curve) => curve.points.flatMap(([, value, index]) =>
        [value, curve.low?.[index], curve.high?.[index]].filter((each) => each !== null && each !== undefined));
      const all = curves.flatMap(ends);
      const steps = curves.flatMap((curve) => curve.points.map(([step]) => step));
      let [low, high] = [Math.min(...all), Math.max(...all)];
      if (panel.log) [low, high] = [low / 1.08, high * 1.08];
      else {
        const room = (high - low || Math.abs(high) || 1) * 0.06;
        [low, high] = [low >= 0 && low < room * 4 ? 0 : low - room, high + room];
      }
      const [first, last] = [Math.min(...steps), Math.max(...steps)];
      const byLog = panel.x_log && first > 0;
      const x = scale(first, last, EDGE.left + 6, width - EDGE.right - 6, byLog);
      const y = scale(low, high, height - EDGE.bottom, EDGE.top, panel.log);
      axes(svg, x, y, { width, height, xLabel: panel.x_label,
        xTicks: byLog ? logTicks(first, last) : linearTicks(first, last, Math.max(4, Math.floor(width / 80))),
        yTicks: panel.log ? logTicks(low, high) : linearTicks(low, high, 4) });
      for (const curve of curves) {
        const places = curve.points.map(([step, value]) => [x(step), y(value)]);
        if (curve.low) {
          const known = curve.points.filter(([, , index]) => curve.low[index] !== null);
          const band = [...known.map(([step, , index]) => [x(step), y(curve.high[index])]),
            ...known.reverse().map(([step, , index]) => [x(step), y(curve.low[index])])];
          if (band.length) svg.append(node("path", { class: `band series-${curve.series}`, d: `${path(band)}Z` }));
        }
        const kind = `line series-${curve.series}${curve.dashed ? " dashed" : ""}`;
        svg.append(node("path", { class: kind, d: path(places) }));
        if (curve.marks || places.length === 1) {
          const dots = places.map(([px, py]) => `M${px.toFixed(1)} ${py.toFixed(1)}h0`).join("");
          svg.append(node("path", { class: `dots series-${curve.series}`, d: dots }));
        }
      }
      return [...new Set(steps)].sort((a, b) => a - b).map((step) => {
        const parts = curves.map((curve) => [curve.label ?? curve.name, curve.points.find(([each]) => each === step)?.[1]])
          .filter(([, value]) => value !== undefined).map(([name, value]) => `${name} ${number(value)}`);
        return { x: x(step), text: `${panel.x_label} ${number(step)}: ${parts.join(", ")}` };
      });
    });
  }

  // histogram: {label, unit, edges: [n + 1], series: [{name, counts: [n]}], limits: [value]}
  function bars(figure, histogram) {
    return mount(figure, histogram.label, 170, (svg, width, height) => {
      const { edges, series } = histogram;
      const sums = edges.slice(1).map((_, bin) => series.reduce((sum, each) => sum + each.counts[bin], 0));
      const x = scale(edges[0], edges[edges.length - 1], EDGE.left, width - EDGE.right);
      const whole = edges.every((edge) => Number.isInteger(edge - 0.5)); // counted things have a bin for each number
      const y = scale(0, Math.max(1, ...sums), height - EDGE.bottom, EDGE.top);
      axes(svg, x, y, { width, height, xLabel: histogram.unit ? `${histogram.label}, ${histogram.unit}` : histogram.label,
        xTicks: linearTicks(edges[0], edges[edges.length - 1], Math.max(2, Math.floor(width / 80)), whole ? 1 : 0),
        yTicks: linearTicks(0, Math.max(1, ...sums), 3).filter(Number.isInteger) });
      const base = edges.slice(1).map(() => 0);
      series.forEach((each, index) => {
        let d = "";
        each.counts.forEach((count, bin) => {
          if (!count) return;
          const [left, right] = [x(edges[bin]) + 0.5, x(edges[bin + 1]) - 0.5];
          d += `M${left} ${y(base[bin])}V${y(base[bin] + count)}H${right}V${y(base[bin])}Z`;
          base[bin] += count;
        });
        svg.append(node("path", { class: `bar series-${index}`, d }));
      });
      for (const limit of histogram.limits) {
        if (limit < edges[0] || limit > edges[edges.length - 1]) continue;
        svg.append(node("line", { class: "limit", x1: x(limit), x2: x(limit), y1: EDGE.top, y2: height - EDGE.bottom }));
      }
      return sums.map((_, bin) => ({
        x: (x(edges[bin]) + x(edges[bin + 1])) / 2,
        text: `${number(edges[bin])} to ${number(edges[bin + 1])}: `
          + series.map((each) => `${each.counts[bin]} ${each.name}`).join(", "),
      }));
    });
  }

  // spread: {label, unit, variants: [{name, quartiles, values, clips}]}: every dot is a clip, the box holds the middle half.
  function spread(figure, data) {
    return mount(figure, data.label, 42 * data.variants.length + EDGE.bottom + EDGE.top, (svg, width, height) => {
      const all = data.variants.flatMap((each) => each.values);
      if (!all.length) return [];
      const [low, high] = [Math.min(...all), Math.max(...all)];
      const room = (high - low || Math.abs(high) || 1) * 0.03;
      const x = scale(low - room, high + room, EDGE.left, width - EDGE.right);
      const ticks = linearTicks(low, high, Math.max(2, Math.floor(width / 80)));
      axes(svg, x, () => 0, { width, height, xTicks: ticks, yTicks: [], xLabel: data.unit ? `${data.label}, ${data.unit}` : data.label });
      const stops = [];
      data.variants.forEach((variant, row) => {
        const top = EDGE.top + 42 * row;
        svg.append(node("text", { class: "tick", x: EDGE.left, y: top + 10 }, variant.name));
        if (!variant.values.length) return;
        const [first, middle, third] = variant.quartiles.map(x);
        svg.append(node("rect", { class: "box", x: first, y: top + 14, width: Math.max(1, third - first), height: 20 }));
        svg.append(node("line", { class: "axis", x1: middle, x2: middle, y1: top + 14, y2: top + 34 }));
        const dots = variant.values.map((value, index) => [x(value), top + 17 + ((index * 7) % 15)]);
        svg.append(node("path", { class: `dots small series-${row % 6}`, d: dots.map(([px, py]) => `M${px.toFixed(1)} ${py}h0`).join("") }));
        dots.forEach(([px, py], index) => stops.push({ x: px, y: py, value: variant.values[index],
          text: `${variant.name}, ${variant.clips[index]}: ${number(variant.values[index])}` }));
      });
      return stops;
    });
  }

  // data: {seconds, cuts: [second], rows: [{rule, jobs: [{start, seconds, text}]}], memory: [{start, gb}], gpu_memory: alike}
  function timeline(figure, data) {
    const row = 22;
    const lane = 64; // of memory, below the rules
    const lanes = [["memory", data.memory], ["GPU memory", data.gpu_memory]].filter(([, steps]) => steps.length);
    const rules = data.rows.length * row;
    return mount(figure, "Jobs over time", rules + lane * lanes.length + EDGE.top + EDGE.bottom, (svg, width, height) => {
      const left = Math.min(150, width * 0.36);
      const x = scale(0, data.seconds, left, width - EDGE.right);
      const bottom = height - EDGE.bottom;
      for (const value of linearTicks(0, data.seconds, Math.max(2, Math.floor((width - left) / 90)))) {
        svg.append(node("line", { class: "rule", x1: x(value), x2: x(value), y1: EDGE.top, y2: bottom }));
        svg.append(node("text", { class: "tick", x: x(value), y: bottom + 15, "text-anchor": "middle" }, number(value)));
      }
      svg.append(node("text", { class: "tick", x: (left + width) / 2, y: height - 4, "text-anchor": "middle" }, "seconds in which jobs ran"));
      for (const cut of data.cuts) {
        svg.append(node("line", { class: "limit", x1: x(cut), x2: x(cut), y1: EDGE.top, y2: bottom }));
      }
      const stops = [];
      data.rows.forEach((each, index) => {
        const top = EDGE.top + index * row;
        svg.append(node("text", { class: "tick", x: left - 6, y: top + 14, "text-anchor": "end" }, each.rule));
        let d = "";
        for (const job of each.jobs) {
          const [from, to] = [x(job.start), Math.max(x(job.start) + 1.5, x(job.start + job.seconds))];
          d += `M${from.toFixed(1)} ${top + 3}H${to.toFixed(1)}V${top + row - 3}H${from.toFixed(1)}Z`;
          stops.push({ x: (from + to) / 2, y: top + row / 2, start: job.start, text: job.text });
        }
        svg.append(node("path", { class: `bar series-${index % 6}`, d }));
      });
      lanes.forEach(([name, steps], index) => {
        const floor = EDGE.top + rules + lane * (index + 1);
        const most = Math.max(0.001, ...steps.map((step) => step.gb));
        const y = scale(0, most, floor, floor - lane + 14);
        svg.append(node("text", { class: "tick", x: left - 6, y: floor - lane + 24, "text-anchor": "end" }, `${name}, ${number(most)} GB`));
        let area = `M${left} ${floor}`;
        for (const step of steps) area += `H${x(step.start).toFixed(1)}V${y(step.gb).toFixed(1)}`;
        svg.append(node("path", { class: "memory", d: `${area}V${floor}Z` }));
      });
      return stops.sort((a, b) => a.start - b.start);
    });
  }

  return { lines, bars, spread, timeline, number };
})();

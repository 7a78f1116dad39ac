// Generated samples on screen. A film holds all streams of a sample side by side, so one decoder plays them in step;
// each stream is drawn from its part of the film onto a canvas of its own.
class Film {
  constructor(pair, prompt) {
    this.shape = pair.film;
    this.path = `media/${pair.run}/${pair.task}/${String(prompt).padStart(4, "0")}`;
    this.views = [];
    this.strength = pair.film.values === "ids" ? 0.6 : 1;
    this.video = make("video", { class: "decoder", playsinline: true, loop: true, preload: "auto", tabindex: "-1", "aria-hidden": "true" });
    this.video.muted = true;
    for (const name of ["loadeddata", "seeked"]) this.video.addEventListener(name, () => { this.stale = true; this.changed?.(); });
  }

  // A canvas that shows streams on top of each other, the upper one with the film's strength.
  view(streams, label) {
    const { width, height } = this.shape;
    const canvas = make("canvas", { width, height, role: "img", "aria-label": label });
    this.views.push({ canvas, context: canvas.getContext("2d"), streams });
    return canvas;
  }

  get ready() { return this.video.readyState >= 2; }
  get frame() { return Math.min(this.shape.frames - 1, Math.floor(this.video.currentTime * this.shape.fps + 0.01)); }
  load() { if (!this.video.hasAttribute("src")) { this.video.src = `${this.path}.mp4`; this.drawn = -1; } }
  unload() { this.video.pause(); this.video.removeAttribute("src"); this.video.load(); }

  draw() {
    if (!this.ready || this.video.seeking || (this.frame === this.drawn && !this.stale)) return;
    const { width, height, streams: order } = this.shape;
    for (const { context, streams } of this.views) {
      streams.forEach((stream, layer) => {
        context.globalAlpha = layer ? this.strength : 1;
        context.drawImage(this.video, order.indexOf(stream) * width, 0, width, height, 0, 0, width, height);
      });
    }
    this.drawn = this.frame;
    this.stale = false;
  }

  // What the dense prediction says at a place (shares of width and height) of the frame on screen, as words.
  async at(x, y) {
    this.values ??= loadValues(`${this.path}.html`);
    const { frames, rows, columns, ids, data } = await this.values;
    const row = Math.min(rows - 1, Math.floor(y * rows)), column = Math.min(columns - 1, Math.floor(x * columns));
    const value = data[(Math.min(frames - 1, Math.max(0, this.drawn)) * rows + row) * columns + column];
    if (this.shape.values === "share") return (value / 255).toFixed(2);
    return ids[value] ? `entity ${ids[value]}` : "no entity";
  }
}

// The values of a sample. A page from disk can fetch no file, but a page in a frame can send what it holds; the frame is
// closed off (sandbox), and only what comes from it is taken.
function loadValues(path) {
  return new Promise((resolve) => {
    const frame = make("iframe", { src: path, sandbox: "allow-scripts", title: "Values", class: "decoder", tabindex: "-1" });
    addEventListener("message", async function take(event) {
      if (event.source !== frame.contentWindow) return;
      removeEventListener("message", take);
      const packed = Uint8Array.from(atob(event.data.deflated), (letter) => letter.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
      resolve({ ...event.data, data: new Uint8Array(await new Response(stream).arrayBuffer()) });
      frame.remove();
    });
    document.body.append(frame);
  });
}

// One clock for many films: plays, pauses and steps all of them together.
class Clock {
  constructor(shown = () => {}) {
    this.films = new Set();
    this.playing = false;
    this.speed = 1;
    this.time = 0;
    this.shown = shown; // called with this clock whenever frame or state change
  }

  get fps() { return Math.max(1, ...[...this.films].map((film) => film.shape.fps)); }
  get frames() { return Math.max(1, ...[...this.films].map((film) => film.shape.frames)); }
  get frame() { return Math.min(this.frames - 1, Math.floor(this.time * this.fps + 0.01)); }

  add(film) { film.changed = () => this.wake(); film.load(); this.films.add(film); this.wake(); }
  remove(film) { film.changed = null; film.unload(); this.films.delete(film); }
  play() { this.playing = true; this.last = null; this.wake(); }
  pause() { this.playing = false; this.seek(this.frame); }
  toggle() { if (this.playing) this.pause(); else this.play(); }
  step(by) { this.playing = false; this.seek((this.frame + by + this.frames) % this.frames); }
  seek(frame) { this.time = (frame + 0.5) / this.fps; this.wake(); }
  wake() { this.asked ??= requestAnimationFrame((now) => { this.asked = null; this.tick(now); }); }

  tick(now) {
    if (this.playing) {
      this.time = (this.time + (this.last ? (now - this.last) / 1000 : 0) * this.speed) % (this.frames / this.fps);
      this.last = now;
    }
    let unsettled = this.playing;
    for (const film of this.films) {
      if (film.ready) this.align(film);
      film.draw();
      unsettled ||= film.stale && film.ready;
    }
    this.shown(this);
    if (unsettled) this.wake();
  }

  // Films play by themselves and are set right only when they are two frames off, for every seek costs time.
  align({ video, shape }) {
    const length = shape.frames / shape.fps, time = Math.min(this.time, length - 0.5 / shape.fps);
    const off = Math.abs(video.currentTime - time);
    const far = Math.min(off, Math.abs(length - off)) > (this.playing ? 2 : 0.4) / shape.fps;
    if (far && !video.seeking) video.currentTime = time;
    video.playbackRate = this.speed;
    if (this.playing && video.paused) video.play().catch(() => {});
    if (!this.playing && !video.paused) video.pause();
  }
}

// What every page's script starts from: the page's data, and elements made without any HTML in strings.
const pageData = JSON.parse(document.getElementById("page-data").textContent);

// An element with attributes (`on...` as listeners, null ones left out) and children; strings become text, never markup.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// A number of things: "1 clip", "1,200 clips".
const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

// Calls `seen(element)` when an element comes near the view, `left(element)` when it goes.
function watch(elements, seen, left = () => {}, margin = "200px") {
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) (entry.isIntersecting ? seen : left)(entry.target);
  }, { rootMargin: margin });
  for (const element of elements) observer.observe(element);
  return observer;
}

// On a narrow screen the navigation scrolls: the page that is shown is in view.
document.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center", behavior: "instant" });

const calm = matchMedia("(prefers-reduced-motion: reduce)");

// Films that are marked: loaded when seen, played and paused by the button around each, for the browser's own controls would
// cover half of a small film.
(() => {
  const films = document.querySelectorAll("video[data-src]");
  const load = (film) => { if (!film.src) { film.src = film.dataset.src; film.preload = "metadata"; } };
  watch(films, load, (film) => film.pause());
  for (const film of films) {
    film.closest("button").addEventListener("click", () => {
      load(film);
      if (film.paused) film.play().catch(() => {}); else film.pause();
    });
  }
})();

// The strip at the top: plays while it is seen, if the reader's system allows motion, until he stops it.
(() => {
  const button = document.querySelector("[data-strip-play]");
  if (!button) return;
  let asked = !calm.matches;
  const clock = new Clock();
  const follow = () => { button.textContent = clock.playing ? "Pause" : "Play"; };
  const films = new Map();
  for (const host of document.querySelectorAll("[data-strip-item]")) {
    const item = pageData.strip[Number(host.dataset.stripItem)];
    const film = new Film(item, item.prompt);
    const over = item.film.values === "ids" ? ["video", "decoded"] : ["decoded"];
    host.querySelector(".strip-video").append(film.view(["video"], `Generated video: ${item.text}`), film.video);
    host.querySelector(".strip-dense").append(film.view(over, `${item.phrase} of the same video`));
    films.set(host, film);
  }
  watch(films.keys(), (host) => {
    clock.add(films.get(host));
    if (asked && !clock.playing) clock.play();
    follow();
  }, (host) => {
    clock.remove(films.get(host));
    if (!clock.films.size) clock.pause();
  });
  button.addEventListener("click", () => { clock.toggle(); asked = clock.playing; follow(); });
  button.hidden = false;
})();

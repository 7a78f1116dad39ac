// The reader's choice of light or dark, before anything is drawn; without one the system's holds.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => { try { return localStorage.getItem("udpdiff-theme"); } catch { return null; } };
  const shown = () => root.dataset.theme || (system.matches ? "dark" : "light");
  if (["light", "dark"].includes(stored())) root.dataset.theme = stored();
  addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector("[data-theme-switch]");
    const name = () => { button.textContent = shown() === "dark" ? "Light" : "Dark"; };
    button.hidden = false;
    button.setAttribute("aria-label", "Switch between light and dark");
    button.addEventListener("click", () => {
      root.dataset.theme = shown() === "dark" ? "light" : "dark";
      try { localStorage.setItem("udpdiff-theme", root.dataset.theme); } catch { /* not kept, then */ }
      name();
    });
    system.addEventListener("change", name);
    name();
  });
})();

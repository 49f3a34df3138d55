// Sets the colours before the page is painted. Not a module, because modules run after that.
// "auto" follows the system; the button of the page (app.js) changes what is stored here.
(() => {
  let theme = "auto";
  try {
    theme = localStorage.getItem("vesper-theme") ?? "auto";
  } catch {
    // Storage is off: the page follows the system.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();

// The link that makes the page light or dark. The chat follows the page.
document.querySelector(".theme")?.addEventListener("click", () => {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
});

// Set the colours and the theme before the first paint. A classic script: it must run before the page is drawn.
(() => {
  const root = document.documentElement;
  const settings = JSON.parse(root.dataset.settings);
  let told = {};
  try {
    // Only an embedding page may say how the frame looks: whoever opens the frame by itself sees the desk's own settings.
    if (window.parent !== window) told = JSON.parse(decodeURIComponent(location.hash.slice(1))) ?? {};
  } catch {
    told = {};
  }
  const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  function luminance(rgb) {
    const [r, g, b] = rgb.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }
  function contrast(one, other) {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  }
  // The nearest shade of the colour that is readable on a background: 4.5 to 1, and a little more for what is mixed into it.
  function shaded(rgb, background, towards) {
    for (let part = 0; part < 1; part += 0.04) {
      const mixed = rgb.map((one, at) => one + (towards[at] - one) * part);
      if (contrast(mixed, background) >= 4.9) return `rgb(${mixed.map(Math.round).join(" ")})`;
    }
    return `rgb(${towards.join(" ")})`;
  }
  const usable = [told.colour, settings.colour].find((one) => /^#[0-9a-f]{6}$/i.test(one ?? "")) ?? "#17656b";
  const brand = channels(usable), ink = [20, 23, 26], white = [255, 255, 255];
  const on = contrast(brand, white) >= 4.5 ? white : contrast(brand, ink) >= contrast(brand, white) ? ink : white;
  const values = {
    "--brand": usable,
    "--on-brand": `rgb(${on.join(" ")})`,
    "--brand-light": shaded(brand, [243, 241, 237], [0, 0, 0]),
    "--brand-dark": shaded(brand, [40, 45, 51], white),
  };
  for (const [name, value] of Object.entries(values)) root.style.setProperty(name, value);

  function setTheme(theme) {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  }
  setTheme(told.theme);
  window.addEventListener("message", ({ source, data }) => {
    if (source === window.parent && source !== window && data?.desk === "theme") setTheme(data.theme);
  });
  if (typeof told.greeting === "string") root.dataset.greeting = told.greeting.slice(0, 500);
})();

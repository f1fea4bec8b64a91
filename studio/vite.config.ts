import react from "@vitejs/plugin-react";
import { parse } from "smol-toml";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** The server's catalogues of messages are TOML. */
const catalogues: Plugin = {
  name: "catalogues",
  transform: (source, file) => (file.endsWith(".toml") ? `export default ${JSON.stringify(parse(source))}` : null),
};

export default defineConfig({
  plugins: [react(), catalogues],
  build: {
    outDir: "../src/smidgen/studio/dist",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // nothing inline: the server's policy allows no data: script or style
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8765" } },
  test: { environment: "jsdom", setupFiles: ["./src/test-setup.ts"], css: { modules: { classNameStrategy: "non-scoped" } } },
});

import { defineConfig } from "vite";

const gateway = process.env.WEFT_GATEWAY_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // the policy allows no data: but for images
    modulePreload: { polyfill: false },
  },
  server: {
    host: "127.0.0.1",
    proxy: {
      "^/(v1|ops|app.json|demo-token)": { target: gateway, ws: true },
    },
  },
});

import { render } from "preact";
import { App } from "./app";
import { configure } from "./config";

void configure().catch(() => undefined); // without it there is no demo user, and traces are shown at /ops
const root = document.getElementById("app");
if (root) render(<App />, root);

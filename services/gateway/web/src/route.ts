// Which page is shown: what stands behind the # of the address.
import { signal } from "@preact/signals";

export type Route = { page: "shop" } | { page: "orders" } | { page: "reports" } | { page: "report"; id: string };

export const route = signal<Route>(parsed());

window.addEventListener("hashchange", () => {
  route.value = parsed();
});

export function go(path: string): void {
  location.hash = path;
}

function parsed(): Route {
  const [, page, id] = location.hash.split("/");
  if (page === "orders") return { page };
  if (page === "reports") return id ? { page: "report", id: decodeURIComponent(id) } : { page };
  return { page: "shop" };
}

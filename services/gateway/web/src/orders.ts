// The user's orders, newest first.
import { signal } from "@preact/signals";
import { type Order, ask } from "./api";
import { type Context, note, traced } from "./tracing";

interface Page { orders: Order[]; next: string | null }
interface Accepted { order_id: string; status: "pending" }
export interface Wish { sku: string; quantity: number }

const PAGE = "25";

export const orders = signal<Order[] | null>(null);
export const more = signal<string | null>(null);

export async function load(within: Context): Promise<void> {
  const page = await ask<Page>(within, "GET", "/v1/orders", { query: { limit: PAGE } });
  orders.value = page.orders;
  more.value = page.next;
}

export async function loadMore(within: Context): Promise<void> {
  if (more.value === null) return;
  const page = await ask<Page>(within, "GET", "/v1/orders", { query: { limit: PAGE, cursor: more.value } });
  const known = new Set(orders.value?.map((each) => each.order_id));
  orders.value = [...(orders.value ?? []), ...page.orders.filter((each) => !known.has(each.order_id))];
  more.value = page.next;
}

export async function refresh(within: Context, id: string): Promise<Order> {
  note(within, { "weft.order.id": id });
  const order = await ask<Order>(within, "GET", "/v1/orders/{order_id}", { path: { order_id: id } });
  put(order);
  return order;
}

export async function place(within: Context, wishes: Wish[], token: string, key: string): Promise<void> {
  const body = { items: wishes, payment: { token } };
  const accepted = await ask<Accepted>(within, "POST", "/v1/orders", { body, key });
  await refresh(within, accepted.order_id);
}

// Asks for what is pending until it no longer is, or the page is left.
export function watch(): () => void {
  const timer = setInterval(() => {
    for (const each of orders.value ?? []) {
      if (each.status === "pending") void traced("refresh order", {}, (within) => refresh(within, each.order_id)).catch(() => undefined);
    }
  }, 1000);
  return () => clearInterval(timer);
}

export function forget(): void {
  orders.value = null;
  more.value = null;
}

function put(order: Order): void {
  const known = orders.value ?? [];
  const at = known.findIndex((each) => each.order_id === order.order_id);
  // An answer that was under way when a later one came tells nothing new.
  if (at >= 0 && known[at]?.status !== "pending" && order.status === "pending") return;
  orders.value = at < 0 ? [order, ...known] : known.with(at, order);
}

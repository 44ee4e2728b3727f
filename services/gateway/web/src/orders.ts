// The user's orders, newest first.
import { signal } from "@preact/signals";
import { type Order, type OrderStatus, ask } from "./api";
import { type Context, note } from "./tracing";
import type { Message } from "./updates";

interface Page { orders: Order[]; next: string | null }
interface Accepted { order_id: string; status: "pending" }
export interface Wish { sku: string; quantity: number }

const PAGE = "25";

export const orders = signal<Order[] | null>(null);
export const more = signal<string | null>(null);

let loading: Promise<void> = Promise.resolve();

export function load(within: Context): Promise<void> {
  loading = first(within);
  return loading;
}

async function first(within: Context): Promise<void> {
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

export async function place(within: Context, wishes: Wish[], token: string, key: string): Promise<void> {
  const body = { items: wishes, payment: { token } };
  const accepted = await ask<Accepted>(within, "POST", "/v1/orders", { body, key });
  note(within, { "weft.order.id": accepted.order_id });
  await refresh(within, accepted.order_id);
}

export async function told(within: Context, message: Message): Promise<void> {
  await loading.catch(() => undefined); // its answer may be older than the message
  if (orders.value === null) return;
  const known = orders.value.find((each) => each.order_id === message.id);
  const status = message.data["status"] as OrderStatus | undefined;
  if (known === undefined || status === undefined) await refresh(within, message.id);
  else if (status !== "pending") {
    put({ ...known, status, reason: (message.data["reason"] as string | undefined) ?? null, finished_at: message.at });
  }
}

export function forget(): void {
  orders.value = null;
  more.value = null;
}

async function refresh(within: Context, id: string): Promise<void> {
  put(await ask<Order>(within, "GET", "/v1/orders/{order_id}", { path: { order_id: id } }));
}

function put(order: Order): void {
  if (orders.value === null) return;
  const known = orders.value;
  const at = known.findIndex((each) => each.order_id === order.order_id);
  // An answer that was under way when a later one came tells nothing new.
  if (at >= 0 && known[at]?.status !== "pending" && order.status === "pending") return;
  orders.value = at < 0 ? [order, ...known] : known.with(at, order);
}

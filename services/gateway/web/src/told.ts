// What the user's channel tells, put where it belongs.
import { announce } from "./announce";
import * as orders from "./orders";
import * as reports from "./reports";
import type { Context } from "./tracing";
import type { Message } from "./updates";
import { reason, short } from "./words";

export async function take(within: Context, message: Message): Promise<void> {
  if (message.type.startsWith("order.")) await orders.told(within, message);
  if (message.type.startsWith("report.")) await reports.told(within, message);
  const status = message.type.slice(message.type.indexOf(".") + 1);
  if (ENDS.has(status)) announce(`${message.type.split(".")[0]} ${short(message.id)} ${status} ${why(message)}`);
}

export async function reload(within: Context): Promise<void> {
  await Promise.all([
    orders.orders.value === null ? undefined : orders.load(within),
    reports.reports.value === null ? undefined : reports.load(within),
  ]);
}

const ENDS = new Set(["confirmed", "rejected", "finished", "failed", "expired", "cancelled"]);

function why(message: Message): string {
  const code = message.data["reason"];
  return typeof code === "string" ? reason(code) : "";
}

// Numbers, times and reasons as people read them.
import type { Money } from "./api";

export function money({ amount, currency }: Money): string {
  return new Intl.NumberFormat("en", { style: "currency", currency }).format(Number(amount));
}

// Exact: in cents, since prices have two places.
export function cents(amount: string): number {
  return Math.round(Number(amount) * 100);
}

const clock = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

export function time(at: string): string {
  return clock.format(new Date(at));
}

const REASONS: Record<string, string> = {
  out_of_stock: "out of stock",
  payment_declined: "payment declined",
  timed_out: "timed out",
};

export function reason(code: string | null): string {
  return code === null ? "" : (REASONS[code] ?? code.replaceAll("_", " "));
}

export function short(id: string): string {
  return `…${id.slice(-8)}`;
}

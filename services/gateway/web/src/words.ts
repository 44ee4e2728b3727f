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
  no_sales: "nothing was sold in these days",
  too_large: "more rows than a report may have",
  artifact_store_unavailable: "it could not be stored",
  worker_lost: "its worker was lost too often",
  cancelled_by_user: "by you",
};

export function reason(code: string | null): string {
  return code === null ? "" : (REASONS[code] ?? code.replaceAll("_", " "));
}

export function short(id: string): string {
  return `…${id.slice(-8)}`;
}

// The day in UTC, as date fields and the API have it.
export function day(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(0, 10);
}

export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${(bytes / 1000 ** power).toLocaleString("en", { maximumFractionDigits: power ? 1 : 0 })} ${units[power]}`;
}

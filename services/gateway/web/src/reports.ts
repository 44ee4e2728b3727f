// The user's reports, newest first.
import { signal } from "@preact/signals";
import { ask, fetched } from "./api";
import { type Context, note } from "./tracing";
import type { Message } from "./updates";

export type ReportStatus = "queued" | "running" | "finished" | "failed" | "expired" | "cancelled";
export type Format = "csv" | "parquet";
export interface Report {
  report_id: string;
  status: ReportStatus;
  kind?: string;
  from?: string;
  to?: string;
  format?: Format;
  progress: number | null; // percent
  stage?: string | null;
  reason: string | null;
  created_at: string;
  finished_at: string | null;
  result: { rows: number; bytes: number } | null;
  trace_id: string;
}
export interface Wish { kind: "sales"; from: string; to: string; format: Format; priority: number }
interface Page { reports: Report[]; next: string | null }

const PAGE = "25";
const OPEN = new Set<ReportStatus>(["queued", "running"]);

export const reports = signal<Report[] | null>(null);
export const more = signal<string | null>(null);

export const isOpen = (report: Report): boolean => OPEN.has(report.status);

let loading: Promise<void> = Promise.resolve();

export function load(within: Context): Promise<void> {
  loading = first(within);
  return loading;
}

async function first(within: Context): Promise<void> {
  const page = await ask<Page>(within, "GET", "/v1/reports", { query: { limit: PAGE } });
  reports.value = page.reports;
  more.value = page.next;
}

export async function loadMore(within: Context): Promise<void> {
  if (more.value === null) return;
  const page = await ask<Page>(within, "GET", "/v1/reports", { query: { limit: PAGE, cursor: more.value } });
  const known = new Set(reports.value?.map((each) => each.report_id));
  reports.value = [...(reports.value ?? []), ...page.reports.filter((each) => !known.has(each.report_id))];
  more.value = page.next;
}

export async function request(within: Context, wish: Wish, key: string): Promise<void> {
  const accepted = await ask<{ report_id: string }>(within, "POST", "/v1/reports", { body: wish, key });
  note(within, { "weft.report.id": accepted.report_id });
  await refresh(within, accepted.report_id);
}

export async function cancel(within: Context, id: string): Promise<void> {
  note(within, { "weft.report.id": id });
  await fetched(within, "DELETE", "/v1/reports/{report_id}", { path: { report_id: id } });
  await refresh(within, id);
}

export async function refresh(within: Context, id: string): Promise<void> {
  put(await ask<Report>(within, "GET", "/v1/reports/{report_id}", { path: { report_id: id } }));
}

export async function artifact(within: Context, id: string): Promise<Response> {
  note(within, { "weft.report.id": id });
  return fetched(within, "GET", "/v1/reports/{report_id}/download", { path: { report_id: id } });
}

export async function told(within: Context, message: Message): Promise<void> {
  await loading.catch(() => undefined); // its answer may be older than the message
  if (reports.value === null) return;
  const known = reports.value.find((each) => each.report_id === message.id);
  if (known === undefined || !isOpen(known) || message.type !== "report.progress") {
    await refresh(within, message.id);
    return;
  }
  put({ ...known, status: "running", ...(message.data as Partial<Report>) });
}

export function forget(): void {
  reports.value = null;
  more.value = null;
}

function put(report: Report): void {
  const known = reports.value ?? [];
  const at = known.findIndex((each) => each.report_id === report.report_id);
  const before = known[at];
  // An answer that was under way when a later one came tells nothing new.
  if (before && !isOpen(before) && isOpen(report)) return;
  reports.value = at < 0 ? [report, ...known] : known.with(at, report);
}

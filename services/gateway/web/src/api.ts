// The gateway's API, and what it answers.
import { SpanKind } from "@opentelemetry/api";
import { bearer, end, session } from "./session";
import { type Context, carried, note, traced } from "./tracing";

export interface Money { amount: string; currency: string }
export interface Product { sku: string; name: string; price: Money; stock: number; reserved: number }
export interface Item { sku: string; name: string; quantity: number; price: Money }
export type OrderStatus = "pending" | "confirmed" | "rejected";
export interface Order {
  order_id: string;
  status: OrderStatus;
  reason: string | null;
  items: Item[];
  total: Money;
  placed_at: string;
  finished_at: string | null;
  trace_id: string;
}
export interface FieldError { path: string; message: string }

// What the gateway refused (RFC 9457), or that it did not answer (status 0).
export class Problem extends Error {
  constructor(readonly status: number, message: string, readonly errors: FieldError[] = []) {
    super(message);
    this.name = status ? String(status) : "unreachable";
  }
}

interface Call {
  path?: Record<string, string>;
  query?: Record<string, string>;
  body?: unknown;
  key?: string; // the Idempotency-Key
  token?: string; // instead of that of who is signed in
}

const DEADLINE = 20_000;

export async function ask<T>(within: Context, method: string, template: string, call: Call = {}): Promise<T> {
  const response = await fetched(within, method, template, call);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

// `template` is the path with its {parameters} named, which is what the span is called.
export function fetched(within: Context, method: string, template: string, call: Call = {}): Promise<Response> {
  const attributes = { "http.request.method": method, "url.template": template };
  return traced(`${method} ${template}`, { kind: SpanKind.CLIENT, parent: within, attributes }, async (inner) => {
    const response = await sent(inner, method, template, call);
    note(inner, { "http.response.status_code": response.status });
    if (!response.ok) throw await refusal(response);
    return response;
  });
}

async function sent(within: Context, method: string, template: string, call: Call): Promise<Response> {
  const headers: Record<string, string> = { ...bearer(), ...carried(within) };
  if (call.token !== undefined) headers["Authorization"] = `Bearer ${call.token}`;
  if (call.key !== undefined) headers["Idempotency-Key"] = call.key;
  if (call.body !== undefined) headers["Content-Type"] = "application/json";
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(call.path?.[name] ?? ""));
  const query = call.query ? `?${new URLSearchParams(call.query)}` : "";
  const body = call.body === undefined ? null : JSON.stringify(call.body);
  try {
    return await fetch(path + query, { method, headers, body, signal: AbortSignal.timeout(DEADLINE) });
  } catch {
    throw new Problem(0, "The shop does not answer at the moment. Try again.");
  }
}

async function refusal(response: Response): Promise<Problem> {
  const told = (await response.json().catch(() => ({}))) as Partial<{ title: string; detail: string; errors: FieldError[] }>;
  const detail = told.detail || told.title || `The shop answered ${response.status}.`;
  if (response.status === 401 && session.value) end("Your token does not hold any more.");
  return new Problem(response.status, detail, told.errors);
}

// A key for a request that must have its effect once, however often it is sent.
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (each) => each.toString(16).padStart(2, "0")).join("");
}

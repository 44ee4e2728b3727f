// Small parts that pages share.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { config } from "./config";
import { session } from "./session";
import { reason } from "./words";

// A page's heading; focus goes there when the page changes, so that a screen reader tells it.
export function Heading({ children }: { children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return <h1 tabIndex={-1} ref={heading}>{children}</h1>;
}

export function Alert({ children }: { children: ComponentChildren }) {
  return children ? <p class="notice" role="alert">{children}</p> : null;
}

const TONES: Record<string, string> = {
  confirmed: "good", finished: "good", rejected: "bad", failed: "bad", expired: "bad", cancelled: "quiet",
};

export function Badge({ status, why = null }: { status: string; why?: string | null }) {
  const told = why ? `${status}: ${reason(why)}` : status;
  return <span class={`badge ${TONES[status] ?? "open"}`}>{told}</span>;
}

// Where the trace of an order or report is shown, and its log lines.
export function TraceLinks({ id, of }: { id: string; of: string }) {
  const { jaeger, grafana } = config.value;
  const operator = session.value?.scopes.has("ops") ?? false;
  const trace = jaeger ? `${jaeger}/trace/${id}` : operator ? `/ops/traces/${id}` : null;
  const logs = grafana ? explore(grafana, id) : operator ? `/ops/traces/${id}/logs` : null;
  if (trace === null && logs === null) return <code title="trace id">{id}</code>;
  return (
    <span class="links">
      <Outward to={trace} of={of}>Trace</Outward>
      <Outward to={logs} of={of}>Logs</Outward>
    </span>
  );
}

function Outward({ to, of, children }: { to: string | null; of: string; children: string }) {
  if (to === null) return null;
  return <a href={to} target="_blank" rel="noopener" aria-label={`${children} of ${of}, in a new tab`}>{children}</a>;
}

function explore(grafana: string, id: string): string {
  const query = { refId: "A", expr: `{service_namespace="weft"} | trace_id="${id}"` };
  const pane = { datasource: "loki", queries: [query], range: { from: "now-24h", to: "now" } };
  return `${grafana}/explore?${new URLSearchParams({ schemaVersion: "1", panes: JSON.stringify({ a: pane }) })}`;
}

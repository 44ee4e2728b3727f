// The browser's part of a trace: a click is its root, each request a child, and a message that comes
// back over the WebSocket continues the trace that it belongs to. Contexts are handed on by hand:
// after an await no browser knows which click it is working for.
import { type Attributes, type Context, ROOT_CONTEXT, SpanKind, SpanStatusCode, propagation, trace } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, WebTracerProvider } from "@opentelemetry/sdk-trace-web";
import { bearer } from "./session";

export type { Context } from "@opentelemetry/api";

const exporter = new OTLPTraceExporter({
  url: `${location.origin}/v1/traces`,
  headers: async () => bearer(),
});
const provider = new WebTracerProvider({
  resource: resourceFromAttributes({ "service.name": "web" }), // the gateway says so again
  spanProcessors: [
    new BatchSpanProcessor(exporter, { scheduledDelayMillis: 500, maxExportBatchSize: 64, maxQueueSize: 1024 }),
  ],
});
provider.register({ contextManager: null, propagator: new W3CTraceContextPropagator() });
const tracer = trace.getTracer("weft-web");

interface Step {
  kind?: SpanKind;
  parent?: Context;
  attributes?: Attributes;
}

// Runs `work` within a span, which ends with it and tells how it went.
export async function traced<T>(name: string, step: Step, work: (within: Context) => Promise<T>): Promise<T> {
  const parent = step.parent ?? ROOT_CONTEXT;
  const span = tracer.startSpan(name, { kind: step.kind ?? SpanKind.INTERNAL, attributes: step.attributes ?? {} }, parent);
  try {
    return await work(trace.setSpan(parent, span));
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR });
    span.setAttribute("error.type", error instanceof Error ? error.name : "unknown");
    throw error;
  } finally {
    span.end();
  }
}

// A person's doing: the root of a new trace.
export function clicked<T>(what: string, work: (within: Context) => Promise<T>): Promise<T> {
  return traced(`click ${what}`, {}, work);
}

export function note(within: Context, attributes: Attributes): void {
  trace.getSpan(within)?.setAttributes(attributes);
}

// The headers that carry a trace on.
export function carried(within: Context): Record<string, string> {
  const headers: Record<string, string> = {};
  propagation.inject(within, headers);
  return headers;
}

// The trace that a message belongs to.
export function continued(traceparent: string | undefined): Context {
  return propagation.extract(ROOT_CONTEXT, { traceparent });
}

// Sends what has not been sent yet: before the token is forgotten.
export function flush(): Promise<void> {
  return provider.forceFlush();
}

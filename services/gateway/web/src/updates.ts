// The user's channel: a WebSocket that is opened anew whenever it closes, and goes on where it was.
// Messages are numbered without gaps, so nothing is missed and nothing is taken twice.
import { SpanKind } from "@opentelemetry/api";
import { signal } from "@preact/signals";
import { Problem, ask } from "./api";
import { session } from "./session";
import { type Context, continued, traced } from "./tracing";

export interface Message { seq: number; type: string; id: string; at: string; data: Record<string, unknown>; traceparent?: string }
interface Ticket { ticket: string; seq: number }
export interface Listener {
  take: (within: Context, message: Message) => Promise<void>;
  reload: (within: Context) => Promise<void>; // everything: what was missed is too old to be told
}

export const live = signal(false);

const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 8_000;
const TOO_MANY = 4429;
const TOO_MANY_PAUSE = 30_000;

// Listens for as long as somebody is signed in; returns what ends it.
export function listen(listener: Listener): () => void {
  const channel = new Channel(listener);
  channel.connect();
  return () => channel.stop();
}

class Channel {
  private last: number | null = null; // the newest number that was taken
  private socket: WebSocket | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private pause = FIRST_PAUSE;
  private stopped = false;
  private taking: Promise<void> = Promise.resolve();

  constructor(private readonly listener: Listener) {
    addEventListener("online", this.hurry);
    document.addEventListener("visibilitychange", this.hurry);
  }

  connect(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    void this.open().catch((error: unknown) => {
      if (error instanceof Problem && error.status === 401) return; // and nobody is signed in any more
      this.again();
    });
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    removeEventListener("online", this.hurry);
    document.removeEventListener("visibilitychange", this.hurry);
    this.socket?.close();
    live.value = false;
  }

  private async open(): Promise<void> {
    const given = await traced("connect updates", {}, (within) => ask<Ticket>(within, "POST", "/v1/updates/tickets"));
    if (this.stopped || !session.value) return;
    const fresh = this.last === null;
    this.last ??= given.seq;
    const query = new URLSearchParams({ ticket: given.ticket, after: String(this.last) });
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/v1/updates?${query}`);
    this.socket = socket;
    socket.onopen = () => {
      live.value = true;
      // What a page has read before the ticket may be older than what the channel begins with.
      if (fresh) this.queue(() => this.reload());
    };
    socket.onmessage = (event) => {
      this.pause = FIRST_PAUSE;
      this.heard(JSON.parse(String(event.data)) as Message);
    };
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.socket = null;
      live.value = false;
      this.again(event.code === TOO_MANY ? TOO_MANY_PAUSE : 0);
    };
  }

  private heard(message: Message): void {
    if (message.type === "reset") {
      this.last = message.seq;
      this.queue(() => this.reload());
    } else if (this.last === null || message.seq === this.last + 1) {
      this.last = message.seq;
      this.queue(() => this.take(message));
    } else if (message.seq > this.last) {
      this.socket?.close(); // a gap: ask again from the last one
    }
  }

  private reload(): Promise<void> {
    return traced("reload", {}, (within) => this.listener.reload(within));
  }

  private take(message: Message): Promise<void> {
    const step = {
      kind: SpanKind.CONSUMER,
      parent: continued(message.traceparent),
      attributes: {
        "messaging.operation.type": "process",
        "weft.message.type": message.type,
        "weft.update.seq": message.seq,
        [message.type.startsWith("report.") ? "weft.report.id" : "weft.order.id"]: message.id,
      },
    };
    return traced(`process ${message.type}`, step, (within) => this.listener.take(within, message));
  }

  // One after the other: what a message changes is there before the next is taken.
  private queue(work: () => Promise<void>): void {
    this.taking = this.taking.then(() => (this.stopped ? undefined : work())).catch(() => undefined);
  }

  private again(least = 0): void {
    if (this.stopped || this.timer !== undefined) return;
    const pause = Math.max(least, this.pause * (0.5 + Math.random() / 2));
    this.pause = Math.min(LONGEST_PAUSE, this.pause * 2);
    this.timer = setTimeout(() => this.connect(), pause);
  }

  // Back from sleep, or on a network again: not after the pause, but now.
  private readonly hurry = (): void => {
    if (this.timer !== undefined && document.visibilityState === "visible") this.connect();
  };
}

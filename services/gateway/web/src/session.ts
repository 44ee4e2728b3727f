// Who is signed in. The token is kept in sessionStorage: it survives a reload, is known to this tab
// and this origin alone, and is gone with the tab. Nothing sends it by itself, as a cookie would be,
// so another site's form can do nothing with it; scripts of others are kept out by the page's policy.
import { signal } from "@preact/signals";

export interface Session {
  token: string;
  subject: string;
  scopes: ReadonlySet<string>;
  expiresAt: number; // milliseconds since the epoch
}

const KEY = "weft.token";

export const session = signal<Session | null>(restored());
export const farewell = signal("");

export function begin(next: Session): void {
  sessionStorage.setItem(KEY, next.token);
  farewell.value = "";
  session.value = next;
}

export function end(why = ""): void {
  sessionStorage.clear();
  farewell.value = why;
  session.value = null;
}

export function bearer(): Record<string, string> {
  return session.value ? { Authorization: `Bearer ${session.value.token}` } : {};
}

function restored(): Session | null {
  const token = sessionStorage.getItem(KEY);
  return token === null ? null : read(token);
}

// What a token says, for display and for what is offered; the gateway alone judges it.
export function read(token: string): Session | null {
  try {
    const claims = JSON.parse(decoded(token.split(".")[1] ?? "")) as Record<string, unknown>;
    const expiresAt = Number(claims["exp"]) * 1000;
    if (typeof claims["sub"] !== "string" || !(expiresAt > Date.now())) return null;
    const scopes = new Set(String(claims["scope"] ?? "").split(" ").filter(Boolean));
    return { token, subject: claims["sub"], scopes, expiresAt };
  } catch {
    return null;
  }
}

function decoded(base64url: string): string {
  const binary = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return new TextDecoder().decode(Uint8Array.from(binary, (each) => each.charCodeAt(0)));
}

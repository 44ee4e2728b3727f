// The frame around the pages: navigation, who is signed in, and what is announced.
import type { ComponentChild } from "preact";
import { useEffect } from "preact/hooks";
import { announced } from "./announce";
import * as orders from "./orders";
import { Orders } from "./pages/orders";
import { Report } from "./pages/report";
import { Reports } from "./pages/reports";
import { Shop } from "./pages/shop";
import { SignIn } from "./pages/sign_in";
import * as reports from "./reports";
import { route } from "./route";
import { end, session } from "./session";
import * as told from "./told";
import { clicked, flush } from "./tracing";
import { listen, live } from "./updates";

const PAGES = [
  ["shop", "Shop"],
  ["orders", "Orders"],
  ["reports", "Reports"],
] as const;

export function App() {
  const subject = session.value?.subject;
  useEffect(() => (subject === undefined ? undefined : listen(told)), [subject]);
  return (
    <>
      <a class="skip" href="#content" onClick={skip}>Skip to content</a>
      <header>
        <a class="home" href="#/shop">Weft</a>
        {session.value && <Navigation />}
        {session.value && <Who subject={session.value.subject} />}
      </header>
      <main id="content" tabIndex={-1}>{session.value ? page() : <SignIn />}</main>
      <p class="unseen" role="status" aria-live="polite">{announced.value}</p>
    </>
  );
}

function page(): ComponentChild {
  switch (route.value.page) {
    case "orders": return <Orders />;
    case "reports": return <Reports />;
    case "report": return <Report key={route.value.id} id={route.value.id} />;
    default: return <Shop />;
  }
}

function Navigation() {
  const here = route.value.page;
  return (
    <nav aria-label="Pages">
      {PAGES.map(([name, title]) => (
        <a key={name} href={`#/${name}`} aria-current={here === name || (here === "report" && name === "reports") ? "page" : undefined}>{title}</a>
      ))}
    </nav>
  );
}

function Who({ subject }: { subject: string }) {
  return (
    <span class="who">
      <span class={live.value ? "live on" : "live"}>{live.value ? "live" : "connecting…"}</span>
      <span class="subject">{subject}</span>
      <button type="button" onClick={() => void signOut()}>Sign out</button>
    </span>
  );
}

async function signOut(): Promise<void> {
  await clicked("Sign out", async () => {
    if (session.value?.scopes.has("ops")) await fetch("/ops/sign-out", { method: "POST", redirect: "manual" });
  }).catch(() => undefined);
  await flush().catch(() => undefined);
  orders.forget();
  reports.forget();
  end();
}

function skip(event: MouseEvent): void {
  event.preventDefault(); // the address behind the # names the page
  document.getElementById("content")?.focus();
}

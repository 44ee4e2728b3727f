import { useSignal } from "@preact/signals";
import { ask } from "../api";
import { config } from "../config";
import { Alert, Heading } from "../parts";
import { begin, farewell, read } from "../session";
import { type Context, clicked } from "../tracing";

interface Demo { token: string }

export function SignIn() {
  const token = useSignal("");
  const wrong = useSignal("");
  const busy = useSignal(false);

  const enter = (what: string, get: (within: Context) => Promise<string>) => {
    busy.value = true;
    wrong.value = "";
    void clicked(what, async (within) => admit(within, await get(within)))
      .catch((error: Error) => (wrong.value = error.message))
      .finally(() => (busy.value = false));
  };
  const submit = (event: Event) => {
    event.preventDefault();
    enter("Sign in", async () => token.value.trim());
  };

  return (
    <section class="sign-in">
      <Heading>Sign in</Heading>
      <Alert>{wrong.value || farewell.value}</Alert>
      {config.value.demo && (
        <>
          <p>This system runs on your own machine, for you to look around.</p>
          <button type="button" class="primary" disabled={busy.value} onClick={() => enter("Demo user", demoToken)}>
            Enter as the demo user
          </button>
          <p class="or">or, as somebody else:</p>
        </>
      )}
      <form onSubmit={submit}>
        <label for="token">Token</label>
        <input id="token" type="password" autocomplete="off" spellcheck={false} required
          aria-describedby="token-hint" onInput={(event) => (token.value = event.currentTarget.value)} />
        <p class="hint" id="token-hint">
          <code>weft token --subject alice --scope orders:write --scope reports:write --scope ops</code> prints one.
        </p>
        <button disabled={busy.value}>Sign in</button>
      </form>
    </section>
  );
}

async function demoToken(within: Context): Promise<string> {
  return (await ask<Demo>(within, "POST", "/demo-token")).token;
}

// A token is good if the gateway answers it; an operator's opens /ops, too.
async function admit(within: Context, token: string): Promise<void> {
  const next = read(token);
  if (next === null) throw new Error("This is no token, or one that has expired.");
  await ask(within, "GET", "/v1/products", { query: { limit: "1" }, token });
  begin(next);
  if (!next.scopes.has("ops")) return;
  const body = new URLSearchParams({ token, after: "/ops" });
  await fetch("/ops/sign-in", { method: "POST", body, redirect: "manual" }).catch(() => undefined);
}

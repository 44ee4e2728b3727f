// What the gateway says of itself: whether there is a demo user, and whose pages show traces and logs.
import { signal } from "@preact/signals";

export interface Config { demo: boolean; jaeger: string | null; grafana: string | null }

export const config = signal<Config>({ demo: false, jaeger: null, grafana: null });

export async function configure(): Promise<void> {
  const response = await fetch("/app.json");
  if (response.ok) config.value = (await response.json()) as Config;
}

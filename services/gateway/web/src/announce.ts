// What a screen reader is told of things that happen by themselves.
import { signal } from "@preact/signals";

export const announced = signal("");

export function announce(text: string): void {
  announced.value = text;
}

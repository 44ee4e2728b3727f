import { useComputed, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type Product, Problem, ask, newKey } from "../api";
import { announce } from "../announce";
import { type Wish, place } from "../orders";
import { Alert, Heading } from "../parts";
import { go } from "../route";
import { clicked, traced } from "../tracing";
import { cents, money } from "../words";

const MOST = 1000; // of one product in an order
const MEANS = [
  ["tok_ok", "Card that is accepted"],
  ["tok_slow", "Card that takes 3 seconds"],
  ["tok_flaky", "Card that fails twice, then works"],
  ["tok_declined", "Card that is declined"],
  ["tok_async", "Card that is confirmed later"],
] as const;

type Basket = ReadonlyMap<string, number>;

export function Shop() {
  const products = useSignal<Product[] | null>(null);
  const wanted = useSignal("");
  const basket = useSignal<Basket>(new Map());
  const wrong = useSignal("");
  useEffect(() => {
    void traced("load shop", {}, async (within) => {
      const page = await ask<{ products: Product[] }>(within, "GET", "/v1/products", { query: { limit: "200" } });
      products.value = page.products.sort((a, b) => a.sku.localeCompare(b.sku));
    }).catch((error: Error) => (wrong.value = error.message));
  }, []);
  const shown = useComputed(() => {
    const words = wanted.value.trim().toLowerCase();
    return (products.value ?? []).filter((each) => `${each.name} ${each.sku}`.toLowerCase().includes(words));
  });
  const add = (product: Product) => {
    const quantity = Math.min(MOST, (basket.value.get(product.sku) ?? 0) + 1);
    basket.value = new Map(basket.value).set(product.sku, quantity);
    announce(`${quantity} × ${product.name} in your order`);
  };

  return (
    <>
      <Heading>Shop</Heading>
      <Alert>{wrong.value}</Alert>
      <div class="shop">
        <section aria-labelledby="catalogue">
          <div class="bar">
            <h2 id="catalogue">Catalogue</h2>
            <label class="unseen" for="search">Search the catalogue</label>
            <input id="search" type="search" placeholder="Search" onInput={(event) => (wanted.value = event.currentTarget.value)} />
          </div>
          {products.value === null && !wrong.value && <p>Loading…</p>}
          <ul class="products" role="list">
            {shown.value.map((each) => <Card key={each.sku} product={each} add={add} />)}
          </ul>
          {products.value !== null && shown.value.length === 0 && <p>Nothing is called that.</p>}
        </section>
        {basket.value.size > 0 && <ToOrder basket={basket.value} />}
        <OrderForm products={products.value ?? []} basket={basket.value} change={(next) => (basket.value = next)} />
      </div>
    </>
  );
}

function Card({ product, add }: { product: Product; add: (product: Product) => void }) {
  const gone = product.stock < 1;
  return (
    <li>
      <span class="name">{product.name}</span>
      <code>{product.sku}</code>
      <span class="price">{money(product.price)}</span>
      <span class={gone ? "stock bad" : "stock"}>{gone ? "sold out" : `${product.stock} in stock`}</span>
      <button type="button" onClick={() => add(product)} aria-label={`Add ${product.name}`}>Add</button>
    </li>
  );
}

// On a phone the form is below the whole catalogue.
function ToOrder({ basket }: { basket: Basket }) {
  const count = [...basket.values()].reduce((sum, each) => sum + each, 0);
  const show = () => {
    const heading = document.getElementById("your-order");
    heading?.scrollIntoView();
    heading?.focus();
  };
  return <button type="button" class="primary to-order" onClick={show}><span>Go to your order</span> <span>{count}</span></button>;
}

interface FormProps { products: Product[]; basket: Basket; change: (basket: Basket) => void }

function OrderForm({ products, basket, change }: FormProps) {
  const means = useSignal<string>(MEANS[0][0]);
  const wrong = useSignal("");
  const busy = useSignal(false);
  const key = useSignal(newKey());
  const lines = products.filter((each) => basket.has(each.sku));
  const total = lines.reduce((sum, each) => sum + cents(each.price.amount) * (basket.get(each.sku) ?? 0), 0);
  const set = (sku: string, quantity: number) => {
    const next = new Map(basket);
    if (quantity > 0) next.set(sku, Math.min(MOST, quantity));
    else next.delete(sku);
    change(next);
    key.value = newKey(); // another order, so another key
  };
  const submit = (event: Event) => {
    event.preventDefault();
    const wishes: Wish[] = lines.map((each) => ({ sku: each.sku, quantity: basket.get(each.sku) ?? 1 }));
    busy.value = true;
    wrong.value = "";
    void clicked("Place order", (within) => place(within, wishes, means.value, key.value))
      .then(() => {
        change(new Map());
        announce("Your order is placed.");
        go("/orders");
      })
      .catch((error: Error) => (wrong.value = told(error)))
      .finally(() => (busy.value = false));
  };

  return (
    <form class="order panel" aria-labelledby="your-order" onSubmit={submit}>
      <h2 id="your-order" tabIndex={-1}>Your order</h2>
      {lines.length === 0 && <p class="hint">Nothing yet: add something from the catalogue.</p>}
      <ul role="list">
        {lines.map((each) => (
          <li key={each.sku}>
            <label for={`quantity-${each.sku}`}>{each.name}</label>
            <input id={`quantity-${each.sku}`} type="number" min={1} max={MOST} required value={basket.get(each.sku) ?? 1}
              onChange={(event) => set(each.sku, Math.trunc(event.currentTarget.valueAsNumber) || 1)} />
            <button type="button" aria-label={`Remove ${each.name}`} onClick={() => set(each.sku, 0)}>×</button>
          </li>
        ))}
      </ul>
      <label for="means">Payment</label>
      <select id="means" value={means.value} onChange={(event) => {
        means.value = event.currentTarget.value;
        key.value = newKey();
      }}>
        {MEANS.map(([token, text]) => <option key={token} value={token}>{text}</option>)}
      </select>
      <p class="total"><span>Total</span> <strong>{money({ amount: (total / 100).toFixed(2), currency: "EUR" })}</strong></p>
      <Alert>{wrong.value}</Alert>
      <button class="primary" disabled={busy.value || lines.length === 0}>Place order</button>
    </form>
  );
}

function told(error: Error): string {
  if (!(error instanceof Problem) || error.errors.length === 0) return error.message;
  return `${error.message} ${error.errors.map((each) => each.message).join("; ")}`;
}

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Order } from "../api";
import { load, loadMore, more, orders } from "../orders";
import { Alert, Badge, Heading, TraceLinks } from "../parts";
import { clicked, traced } from "../tracing";
import { money, short, time } from "../words";

export function Orders() {
  const wrong = useSignal("");
  const failed = (error: Error) => {
    wrong.value = error.message;
  };
  useEffect(() => {
    void traced("load orders", {}, load).catch(failed);
  }, []);
  return (
    <>
      <Heading>Orders</Heading>
      <Alert>{wrong.value}</Alert>
      {orders.value === null && !wrong.value && <p>Loading…</p>}
      {orders.value?.length === 0 && <p>None yet. <a href="#/shop">Order something</a>.</p>}
      {orders.value !== null && orders.value.length > 0 && <Table orders={orders.value} />}
      {more.value && (
        <button type="button" onClick={() => void clicked("More orders", loadMore).catch(failed)}>Show more</button>
      )}
    </>
  );
}

function Table({ orders }: { orders: Order[] }) {
  return (
    <table class="rows">
      <thead>
        <tr>
          <th scope="col">Order</th><th scope="col">Status</th><th scope="col">Items</th>
          <th scope="col" class="number">Total</th><th scope="col">Placed</th><th scope="col">Look inside</th>
        </tr>
      </thead>
      <tbody>
        {orders.map((each) => (
          <tr key={each.order_id} data-order={each.order_id}>
            <td data-name="Order"><code title={each.order_id}>{short(each.order_id)}</code></td>
            <td data-name="Status"><Badge status={each.status} why={each.reason} /></td>
            <td data-name="Items">{each.items.map((item) => `${item.quantity} × ${item.name}`).join(", ")}</td>
            <td data-name="Total" class="number">{money(each.total)}</td>
            <td data-name="Placed"><time dateTime={each.placed_at}>{time(each.placed_at)}</time></td>
            <td data-name="Look inside"><TraceLinks id={each.trace_id} of={`order ${short(each.order_id)}`} /></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

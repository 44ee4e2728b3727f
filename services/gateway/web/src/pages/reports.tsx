import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { newKey } from "../api";
import { Alert, Badge, Heading, TraceLinks } from "../parts";
import { type Format, type Report, cancel, isOpen, load, loadMore, more, reports, request } from "../reports";
import { clicked, traced } from "../tracing";
import { day, short, size, time } from "../words";

const DAY = 86_400_000;

export function Reports() {
  const wrong = useSignal("");
  const failed = (error: Error) => {
    wrong.value = error.message;
  };
  useEffect(() => {
    void traced("load reports", {}, load).catch(failed);
  }, []);
  const stop = (id: string) => {
    wrong.value = "";
    void clicked("Cancel report", (within) => cancel(within, id)).catch(failed);
  };
  return (
    <>
      <Heading>Reports</Heading>
      <RequestForm />
      <Alert>{wrong.value}</Alert>
      {reports.value === null && !wrong.value && <p>Loading…</p>}
      {reports.value?.length === 0 && <p>None yet.</p>}
      {reports.value !== null && reports.value.length > 0 && <Rows reports={reports.value} stop={stop} />}
      {more.value && (
        <button type="button" onClick={() => void clicked("More reports", loadMore).catch(failed)}>Show more</button>
      )}
    </>
  );
}

function RequestForm() {
  const from = useSignal(day(Date.now() - 30 * DAY));
  const to = useSignal(day(Date.now() + DAY));
  const format = useSignal<Format>("csv");
  const priority = useSignal(5);
  const wrong = useSignal("");
  const busy = useSignal(false);
  const submit = (event: Event) => {
    event.preventDefault();
    busy.value = true;
    wrong.value = "";
    const wish = { kind: "sales" as const, from: from.value, to: to.value, format: format.value, priority: priority.value };
    void clicked("Request report", (within) => request(within, wish, newKey()))
      .catch((error: Error) => (wrong.value = error.message))
      .finally(() => (busy.value = false));
  };
  return (
    <form class="panel request" aria-labelledby="new-report" onSubmit={submit}>
      <h2 id="new-report">Sales by day and product</h2>
      <div class="fields">
        <div><label for="from">From</label><input id="from" type="date" required value={from.value} onInput={(event) => (from.value = event.currentTarget.value)} /></div>
        <div><label for="to">Until before</label><input id="to" type="date" required value={to.value} onInput={(event) => (to.value = event.currentTarget.value)} /></div>
        <div>
          <label for="format">Format</label>
          <select id="format" value={format.value} onChange={(event) => (format.value = event.currentTarget.value as Format)}>
            <option value="csv">CSV, shown here</option>
            <option value="parquet">Parquet, to download</option>
          </select>
        </div>
        <div>
          <label for="priority">Priority, 0 to 9</label>
          <input id="priority" type="number" min={0} max={9} required value={priority.value} onInput={(event) => (priority.value = event.currentTarget.valueAsNumber)} />
        </div>
        <button class="primary" disabled={busy.value}>Request report</button>
      </div>
      <Alert>{wrong.value}</Alert>
    </form>
  );
}

function Rows({ reports, stop }: { reports: Report[]; stop: (id: string) => void }) {
  return (
    <table class="rows">
      <thead>
        <tr>
          <th scope="col">Report</th><th scope="col">Status</th><th scope="col">Progress</th>
          <th scope="col">Requested</th><th scope="col" class="number">Size</th><th scope="col">Look inside</th><th scope="col"><span class="unseen">Cancel</span></th>
        </tr>
      </thead>
      <tbody>
        {reports.map((each) => (
          <tr key={each.report_id} data-report={each.report_id}>
            <td data-name="Report"><a href={`#/reports/${each.report_id}`} title={each.report_id}>{named(each)}</a></td>
            <td data-name="Status"><Badge status={each.status} why={each.reason} /></td>
            <td data-name="Progress"><Progress report={each} /></td>
            <td data-name="Requested"><time dateTime={each.created_at}>{time(each.created_at)}</time></td>
            <td data-name="Size" class="number">{each.result ? size(each.result.bytes) : "–"}</td>
            <td data-name="Look inside"><TraceLinks id={each.trace_id} of={`report ${short(each.report_id)}`} /></td>
            <td data-name="">{isOpen(each) && <button type="button" aria-label={`Cancel report ${short(each.report_id)}`} onClick={() => stop(each.report_id)}>Cancel</button>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function named(report: Report): string {
  return report.from && report.to ? `${report.from} to ${report.to}` : short(report.report_id);
}

export function Progress({ report }: { report: Report }) {
  const done = report.status === "finished" ? 100 : (report.progress ?? 0);
  if (!isOpen(report) && report.status !== "finished") return <>–</>;
  return (
    <span class="progress">
      <progress max={100} value={done} aria-label={`Progress of report ${short(report.report_id)}`} />
      <span>{Math.round(done)} %{isOpen(report) && report.stage ? `, ${report.stage}` : ""}</span>
    </span>
  );
}

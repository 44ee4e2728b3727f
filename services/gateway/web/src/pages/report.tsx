import { useComputed, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Chart } from "../chart";
import { type Table, parsed } from "../csv";
import { Alert, Badge, Heading, TraceLinks } from "../parts";
import { type Report as Told, artifact, refresh, reports } from "../reports";
import * as sales from "../sales";
import { clicked, traced } from "../tracing";
import { short, size, time } from "../words";
import { Progress } from "./reports";

const MOST_SHOWN = 8 << 20; // bytes that are drawn here; what is larger is for other programs
const ROWS = 50;

export function Report({ id }: { id: string }) {
  const wrong = useSignal("");
  const table = useSignal<Table | null>(null);
  const report = reports.value?.find((each) => each.report_id === id);
  const failed = (error: Error) => {
    wrong.value = error.message;
  };
  useEffect(() => {
    void traced("load report", {}, (within) => refresh(within, id)).catch(failed);
  }, [id]);
  const shown = report?.status === "finished" && (report.format ?? "csv") === "csv" && (report.result?.bytes ?? 0) <= MOST_SHOWN;
  useEffect(() => {
    if (!shown) return;
    void traced("show report", {}, async (within) => {
      const answer = await artifact(within, id);
      if (answer.headers.get("content-type")?.startsWith("text/csv")) table.value = parsed(await answer.text());
    }).catch(failed);
  }, [id, shown]);

  return (
    <>
      <p class="back"><a href="#/reports">All reports</a></p>
      <Heading>Report {short(id)}</Heading>
      <Alert>{wrong.value}</Alert>
      {report && <Facts report={report} failed={failed} />}
      {table.value && <Result table={table.value} />}
      {report?.status === "finished" && !shown && <p>This one is for other programs: download it.</p>}
    </>
  );
}

function Facts({ report, failed }: { report: Told; failed: (error: Error) => void }) {
  return (
    <dl class="facts">
      <div><dt>Status</dt><dd><Badge status={report.status} why={report.reason} /></dd></div>
      {report.from && <div><dt>Range</dt><dd>{report.from} to {report.to}</dd></div>}
      <div><dt>Progress</dt><dd><Progress report={report} /></dd></div>
      <div><dt>Requested</dt><dd>{time(report.created_at)}</dd></div>
      {report.finished_at && <div><dt>Ended</dt><dd>{time(report.finished_at)}</dd></div>}
      {report.result && <div><dt>Result</dt><dd>{report.result.rows.toLocaleString("en")} rows, {size(report.result.bytes)}</dd></div>}
      <div><dt>Look inside</dt><dd><TraceLinks id={report.trace_id} of={`report ${short(report.report_id)}`} /></dd></div>
      {report.status === "finished" && (
        <div><dt class="unseen">Download</dt><dd>
          <button type="button" class="primary" onClick={() => void clicked("Download report", (within) => download(report, artifact(within, report.report_id))).catch(failed)}>Download</button>
        </dd></div>
      )}
    </dl>
  );
}

// By a link to what was read: a plain link could not carry the token.
async function download(report: Told, answer: Promise<Response>): Promise<void> {
  const response = await answer;
  const address = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = `sales-${report.from ?? short(report.report_id)}.${report.format ?? "csv"}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

function Result({ table }: { table: Table }) {
  const wanted = useSignal("");
  const rows = useSignal(ROWS);
  const products = useComputed(() => [...sales.products(table)].sort(([, a], [, b]) => a.localeCompare(b)));
  const chosen = sales.of(table, wanted.value);
  const lines = sales.lines(chosen);
  return (
    <>
      <div class="bar">
        <h2>Sales</h2>
        <span>
          <label for="product">Product</label>{" "}
          <select id="product" onChange={(event) => { wanted.value = event.currentTarget.value; rows.value = ROWS; }}>
            <option value="">All products</option>
            {products.value.map(([sku, name]) => <option key={sku} value={sku}>{name}</option>)}
          </select>
        </span>
      </div>
      {table.rows.length === 0 ? <p>Nothing was sold in these days.</p> : <Chart lines={lines} unit="EUR" summary={sales.summary(lines)} />}
      <div class="scrolled" role="region" aria-label="The report's table" tabIndex={0}>
        <table class="grid">
          <thead><tr>{table.columns.map((name) => <th key={name} scope="col">{name.replaceAll("_", " ")}</th>)}</tr></thead>
          <tbody>
            {chosen.rows.slice(0, rows.value).map((row) => (
              <tr key={`${row[0]}-${row[1]}`}>{row.map((cell, at) => <td key={table.columns[at]} class={isNumber(cell) ? "number" : ""}>{cell}</td>)}</tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="hint">{Math.min(rows.value, chosen.rows.length)} of {chosen.rows.length} rows</p>
      {rows.value < chosen.rows.length && <button type="button" onClick={() => (rows.value += ROWS * 4)}>Show more</button>}
    </>
  );
}

function isNumber(cell: string): boolean {
  return /^-?[0-9]+(\.[0-9]+)?$/.test(cell);
}

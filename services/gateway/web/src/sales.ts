// A sales report as lines for the chart.
import type { Line, Point } from "./chart";
import type { Table } from "./csv";

const SHOWN = [["revenue", "Revenue"], ["moving_average", "Moving average"], ["forecast", "Forecast"]] as const;

// Products by SKU, with their names.
export function products(table: Table): Map<string, string> {
  const sku = table.columns.indexOf("sku");
  const name = table.columns.indexOf("name");
  return new Map(table.rows.map((row) => [row[sku] ?? "", row[name] ?? ""]));
}

export function of(table: Table, wanted: string): Table {
  const sku = table.columns.indexOf("sku");
  return wanted === "" ? table : { ...table, rows: table.rows.filter((row) => row[sku] === wanted) };
}

// Sums over all products of the table; a day without any value has none.
export function lines(table: Table): Line[] {
  const day = table.columns.indexOf("day");
  return SHOWN.map(([column, name]) => {
    const at = table.columns.indexOf(column);
    const sums = new Map<string, number | null>();
    for (const row of table.rows) {
      const key = row[day] ?? "";
      const cell = row[at] ?? "";
      const known = sums.get(key) ?? null;
      sums.set(key, cell === "" ? known : (known ?? 0) + Number(cell));
    }
    const points: Point[] = [...sums].sort(([a], [b]) => a.localeCompare(b)).map(([key, value]) => ({ day: key, value }));
    return { name, points };
  });
}

export function summary(drawn: Line[]): string {
  const revenue = drawn[0]?.points.filter((point) => point.value !== null) ?? [];
  const total = revenue.reduce((sum, point) => sum + (point.value ?? 0), 0);
  return `Revenue a day with its moving average and forecast: ${total.toFixed(2)} in ${revenue.length} days`;
}

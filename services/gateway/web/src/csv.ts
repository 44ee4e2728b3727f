// A report's table out of its CSV (RFC 4180).

export interface Table { columns: string[]; rows: string[][] }

export function parsed(text: string): Table {
  const [columns = [], ...rows] = records(text);
  return { columns, rows };
}

function* records(text: string): Generator<string[]> {
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;
  let record: string[] = [];
  while (cell.lastIndex < text.length) {
    const found = cell.exec(text);
    if (found === null) throw new Error("The report's table cannot be read.");
    record.push(found[1] === undefined ? (found[2] ?? "") : found[1].replaceAll('""', '"'));
    if (found[3] === ",") {
      if (cell.lastIndex < text.length) continue;
      record.push("");
    }
    yield record;
    record = [];
  }
}

// Lines over days, as SVG. Whoever does not see it has its summary, and the table beneath.

import { useEffect, useState } from "preact/hooks";

export interface Point { day: string; value: number | null }
export interface Line { name: string; points: Point[] }

const WIDE = 800;
const NARROW = 400;
const HEIGHT = 280;
const LEFT = 64;
const BOTTOM = 28;
const TOP = 10;
const RIGHT = 10;
const TICKS = 4;
const SMALL = matchMedia("(max-width: 40rem)");

export function Chart({ lines, unit, summary }: { lines: Line[]; unit: string; summary: string }) {
  const narrow = useNarrow();
  const width = narrow ? NARROW : WIDE;
  const days = [...new Set(lines.flatMap((line) => line.points.map((point) => point.day)))].sort();
  const values = lines.flatMap((line) => line.points.map((point) => point.value ?? 0));
  const top = ceiling(Math.max(...values, 0));
  const least = Math.min(...values, 0);
  const bottom = least < 0 ? -ceiling(-least) : 0;
  const x = (day: string) => LEFT + (days.indexOf(day) / Math.max(1, days.length - 1)) * (width - LEFT - RIGHT);
  const y = (value: number) => TOP + ((top - value) / (top - bottom)) * (HEIGHT - TOP - BOTTOM);
  const at = new Map(days.map((day) => [day, x(day)]));
  const ticks = Array.from({ length: TICKS + 1 }, (_, step) => bottom + ((top - bottom) / TICKS) * step);
  return (
    <figure class="chart">
      <svg viewBox={`0 0 ${width} ${HEIGHT}`} role="img" aria-label={summary}>
        {ticks.map((value) => (
          <g key={value} class="tick">
            <line x1={LEFT} x2={width - RIGHT} y1={y(value)} y2={y(value)} />
            <text x={LEFT - 8} y={y(value) + 4} text-anchor="end">{value.toLocaleString("en")}</text>
          </g>
        ))}
        {labelled(days, narrow ? 2 : 4).map((day, index, all) => (
          <text key={day} class="day" x={at.get(day)} y={HEIGHT - 8} text-anchor={index === 0 ? "start" : index === all.length - 1 ? "end" : "middle"}>{day}</text>
        ))}
        {lines.map((line, index) => <path key={line.name} class={`line line-${index + 1}`} d={path(line.points, at, y)} />)}
      </svg>
      <figcaption>
        {lines.map((line, index) => (
          <span key={line.name} class="key">
            <svg viewBox="0 0 28 8" aria-hidden="true"><path class={`line line-${index + 1}`} d="M0 4H28" /></svg>
            {line.name}
          </span>
        ))}
        <span class="hint">{unit} a day</span>
      </figcaption>
    </figure>
  );
}

function useNarrow(): boolean {
  const [narrow, setNarrow] = useState(SMALL.matches);
  useEffect(() => {
    const heard = () => setNarrow(SMALL.matches);
    SMALL.addEventListener("change", heard);
    return () => SMALL.removeEventListener("change", heard);
  }, []);
  return narrow;
}

function path(points: Point[], at: Map<string, number>, y: (value: number) => number): string {
  let drawn = "";
  let pen = "M";
  for (const { day, value } of points) {
    if (value === null) {
      pen = "M";
      continue;
    }
    drawn += `${pen}${(at.get(day) ?? 0).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = "L";
  }
  return drawn;
}

function labelled(days: string[], steps: number): string[] {
  const step = Math.max(1, Math.ceil((days.length - 1) / steps));
  return days.filter((_, index) => index % step === 0);
}

// The next of 1, 2, 2.5, 5, 10 times a power of ten.
function ceiling(value: number): number {
  if (value === 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 2.5, 5, 10].find((each) => each * power >= value) ?? 10) * power;
}

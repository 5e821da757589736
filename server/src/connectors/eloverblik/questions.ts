import type { Wanted } from "../../collection/connector.ts";
import type { Granularity } from "../../platform/granularity.ts";
import { dayOf, daySpans, firstDayOf, monthSpans } from "../windows.ts";
import { zone } from "./points.ts";

/** Most metering points of a question, as Eloverblik recommends. */
const pointsMax = 10;
/** 730 days are allowed; fewer where ten points would make an answer of more than some ten megabytes. */
const daysMax = { "15min": 100, hour: 366 };
const monthsMax = 23;
/** One question: values of some metering points, for days since 1970-01-01, `to` not included. */
export interface Question {
  keys: string[];
  granularity: Granularity;
  from: number;
  to: number;
}

/**
 * Legal questions that hold what is wanted exactly once. Days that are not over are not asked for: Eloverblik refuses
 * questions that end after today.
 */
export function questionsOf(wanted: readonly Wanted[], now: number): Question[] {
  const today = dayOf(zone, now);
  const byWindow = new Map<string, Question>();
  for (const asked of Map.groupBy(wanted, ({ key, granularity }) => `${granularity} ${key}`).values()) {
    const { key, granularity } = asked[0]!;
    for (const window of windowsOf(asked, granularity)) {
      const { from } = window;
      const to = Math.min(window.to, today);
      if (from >= to) continue;
      const name = `${granularity} ${from} ${to}`;
      const question = byWindow.get(name);
      if (question === undefined) byWindow.set(name, { keys: [key], granularity, from, to });
      else question.keys.push(key);
    }
  }
  return [...byWindow.values()].flatMap((question) =>
    Array.from({ length: Math.ceil(question.keys.length / pointsMax) }, (_, i) => ({
      ...question,
      keys: question.keys.slice(i * pointsMax, (i + 1) * pointsMax),
    })),
  );
}

function windowsOf(asked: readonly Wanted[], granularity: Granularity): { from: number; to: number }[] {
  if (granularity === "month") {
    return monthSpans(asked, { zone, monthsMax }).map(({ first, last }) => ({
      from: firstDayOf(first),
      to: firstDayOf(last + 1),
    }));
  }
  const spans = daySpans(asked, { zone, daysMax: daysMax[granularity as keyof typeof daysMax] });
  return spans.map(({ first, last }) => ({ from: first, to: last + 1 }));
}

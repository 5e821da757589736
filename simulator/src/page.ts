import { type Language, type Look, type TextKey, textOf } from "./texts.ts";

/** Text that is safe between tags and in attributes. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** A column of a table in a page or a file. */
export interface Column<Row> {
  label: string;
  /** For pages: HTML. */
  cell(row: Row): string;
}

/** Columns as the visitor's layout orders them: the last one first where they were moved. */
export function ordered<T>({ variant }: Look, columns: readonly T[]): readonly T[] {
  return variant === "columns" ? [columns.at(-1)!, ...columns.slice(0, -1)] : columns;
}

/** A table with a caption and heads. */
export function table<Row>(
  look: Look,
  {
    id,
    caption,
    columns,
    rows,
  }: { id: string; caption: string; columns: readonly Column<Row>[]; rows: readonly Row[] },
): string {
  const shown = ordered(look, columns);
  const heads = shown.map(({ label }) => `<th scope="col">${escaped(label)}</th>`).join("");
  const body = rows
    .map((row) => `<tr>${shown.map(({ cell }) => `<td>${cell(row)}</td>`).join("")}</tr>`)
    .join("\n");
  return `<table id="${id}"><caption>${escaped(caption)}</caption>
<thead><tr>${heads}</tr></thead>
<tbody>
${body}
</tbody></table>`;
}

const css = `body{font:16px/1.5 system-ui,sans-serif;margin:0;color:#1a1a1a;background:#f4f7fa}
header,main,footer{max-width:60rem;margin:0 auto;padding:1rem}
.top{background:#1d4f76;color:#fff}.top a{color:#fff}.top header{display:flex;gap:1.5rem;align-items:center;flex-wrap:wrap}
.brand{font-weight:700;font-size:1.25rem;margin-right:auto}main{background:#fff;border-radius:.5rem;margin-top:1rem}
table{border-collapse:collapse;width:100%;margin:1rem 0}caption{text-align:left;font-weight:600;padding:.5rem 0}
th,td{text-align:left;padding:.5rem;border-bottom:1px solid #d6dee5}th{background:#e8eff5}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem}dt{color:#51606d}dd{margin:0}
label{display:block;margin:.75rem 0 .25rem}input{font:inherit;padding:.5rem;width:18rem;border:1px solid #51606d;border-radius:.25rem}
button{font:inherit;padding:.5rem 1rem;margin-top:1rem;background:#1d4f76;color:#fff;border:0;border-radius:.25rem;cursor:pointer}
.top button{margin:0;border:1px solid #fff}[role=alert]{background:#fdecea;border-left:4px solid #b3261e;padding:.5rem 1rem}
:focus-visible{outline:3px solid #f0a202;outline-offset:2px}.skip{position:absolute;left:-99rem}.skip:focus{left:1rem}`;

/** What a page holds beside its frame. */
export interface Content {
  title: TextKey;
  /** HTML below the heading. */
  body: string;
  /** The CSRF token of who is logged in: shows the menu. */
  menu?: string | undefined;
}

/** A whole page. */
export function page(look: Look, { title, body, menu }: Content): string {
  const t = (key: TextKey) => escaped(textOf(look, key));
  const lang: Language = look.variant === "language" ? "no" : look.language;
  const nav =
    menu === undefined
      ? `<nav><a href="?lang=sv" lang="sv">Svenska</a> · <a href="?lang=en" lang="en">English</a></nav>`
      : `<nav><a href="/overview">${t("overview")}</a> · <a href="/invoices">${t("invoices")}</a></nav>
<form method="post" action="/logout"><input type="hidden" name="csrf" value="${menu}"><button>${t("leave")}</button></form>`;
  return `<!doctype html>
<html lang="${lang}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${t(title)} – ${t("company")}</title><style>${css}</style></head>
<body><a class="skip" href="#content">${t("next")}</a>
<div class="top"><header><span class="brand">${t("company")}</span>${nav}</header></div>
<main id="content"><h1>${t(title)}</h1>
${body}
</main><footer><small>Älvdal Energi AB · 559900-1234 · 0250-00 00 00</small></footer></body></html>
`;
}

/** A message that screen readers say at once. */
export const alert = (text: string): string => `<p role="alert">${escaped(text)}</p>`;

/** Facts with their labels. */
export function facts(pairs: readonly (readonly [string, string])[]): string {
  return `<dl>${pairs.map(([label, value]) => `<dt>${escaped(label)}</dt><dd>${escaped(value)}</dd>`).join("\n")}</dl>`;
}

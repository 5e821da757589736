import { parseTemplate, type Template } from "./template.ts";
import alvdalEnergi from "./templates/alvdal-energi.json" with { type: "json" };
import nordfjordNett from "./templates/nordfjord-nett.json" with { type: "json" };
import stadtwerkeBrunnstadt from "./templates/stadtwerke-brunnstadt.json" with { type: "json" };

let parsed: Template[] | undefined;

/** Templates of the utilities of the demo: examples to begin with, and their invoices are read without further ado. */
export function builtInTemplates(): Template[] {
  return (parsed ??= [alvdalEnergi, nordfjordNett, stadtwerkeBrunnstadt].map(parseTemplate));
}

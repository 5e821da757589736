#!/usr/bin/env node
import { enableCompileCache } from "node:module";

// Before anything else is loaded: compiled modules are kept between runs.
enableCompileCache();
const { run } = await import("./program.ts");
await run(process.argv.slice(2));

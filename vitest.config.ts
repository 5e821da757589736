import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    globalSetup: ["test/harness/database-setup.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    exclude: ["**/node_modules/**"],
    projects: [
      {
        extends: true,
        test: { name: "tidy", include: ["tools/**/*.test.ts"], globalSetup: [] },
      },
      {
        extends: true,
        test: { name: "unit", include: ["server/**/*.test.ts", "client/**/*.test.ts", "cli/**/*.test.ts"] },
      },
      { extends: true, test: { name: "whole", include: ["test/**/*.test.ts"], testTimeout: 120_000 } },
    ],
  },
});

import { defineConfig } from "vitest/config";

/** Tests of these projects share one database server, which lives as long as the run. */
const withDatabase = { globalSetup: ["test/harness/database-setup.ts"], hookTimeout: 120_000 };

export default defineConfig({
  test: {
    maxWorkers: 2,
    exclude: ["**/node_modules/**"],
    projects: [
      { extends: true, test: { name: "tidy", include: ["tools/**/*.test.ts"] } },
      {
        extends: true,
        test: {
          ...withDatabase,
          name: "unit",
          include: ["{server,client,cli,simulator,bench}/**/*.test.ts"],
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: { ...withDatabase, name: "whole", include: ["test/**/*.test.ts"], testTimeout: 180_000 },
      },
    ],
  },
});

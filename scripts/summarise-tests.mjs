/**
 * @file Prints `N passed, N failed` from vitest's JSON report and the exit statuses of other checks, and exits 1 on any failure.
 * Usage: node scripts/summarise-tests.mjs REPORT.json [STATUS…]   (each status counts as one passed or failed check)
 */
import { existsSync, readFileSync } from "node:fs";

const [reportFile, ...statuses] = process.argv.slice(2);
let passed = 0;
let failed = 0;

if (existsSync(reportFile)) {
  const report = JSON.parse(readFileSync(reportFile, "utf8"));
  for (const file of report.testResults) {
    const failures = file.assertionResults.filter((test) => test.status === "failed").length;
    passed += file.assertionResults.filter((test) => test.status === "passed").length;
    // A file that does not even load has no failed test, but it has failed.
    failed += failures === 0 && file.status === "failed" ? 1 : failures;
  }
} else {
  failed += 1;
}
for (const status of statuses) {
  if (status === "0") passed += 1;
  else failed += 1;
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

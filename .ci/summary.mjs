// Reads the test runner's JSON reports and ends the run with one line: `N passed, N failed, N skipped`.
// Fails for a failed test or file, for a runner that failed otherwise, and for a test that was
// skipped for want of data (its name says "needs LIBERO_ROOT" or the like) although the data is there.
import { readFileSync } from "node:fs";

const reports = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, "utf8")));
const files = reports.flatMap((report) => report.testResults);
const tests = files.flatMap((file) => file.assertionResults);
const count = (...statuses) => tests.filter((test) => statuses.includes(test.status)).length;

// A file that does not load has no tests to fail: it counts as one.
const brokenFiles = files.filter(
  (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
);
for (const file of brokenFiles) console.error(`broken test file: ${file.name}\n${file.message}`);

const wrongSkips =
  process.env.HAVE_SHARED === "1"
    ? tests.filter(
        (test) => test.status !== "passed" && test.status !== "failed" && /\(needs /.test(test.fullName),
      )
    : [];
for (const test of wrongSkips) console.error(`skipped although its data is there: ${test.fullName}`);

const failed = count("failed") + brokenFiles.length;
const runnerFailed = process.env.RUNNER_STATUS !== "0";
if (runnerFailed && failed === 0) console.error(`the test runner ended with ${process.env.RUNNER_STATUS}`);
process.exitCode = failed > 0 || wrongSkips.length > 0 || runnerFailed ? 1 : 0;
console.log(
  `${count("passed")} passed, ${failed} failed, ${count("pending", "skipped", "todo", "disabled")} skipped`,
);

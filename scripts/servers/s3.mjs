/**
 * @file An S3-compatible server on this machine, for the tests of tables on object storage: MinIO's `minio` from the PATH, or the program
 * that S3_SERVER names. With Go, `go install github.com/minio/minio@latest` builds it (four minutes, 2.3 GB of Go's caches, a binary of
 * 107 MB). `pip install 'moto[server]'` and S3_SERVER=moto_server take seconds; moto keeps everything in memory and checks no keys.
 *
 *   node scripts/servers/s3.mjs          prints the environment that the tests read, and serves until Ctrl-C
 *   node scripts/servers/s3.mjs COMMAND  serves while the command runs, which gets that environment
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

const bucket = "sleuth";
const program = process.env.S3_SERVER ?? "minio";
const isMoto = basename(program).startsWith("moto");
const folder = mkdtempSync(join(tmpdir(), "sleuth-s3-"));
// A folder of the drive is a bucket.
mkdirSync(join(folder, bucket));
const port = await freePort();
const keys = { user: "sleuth-tests", password: randomBytes(12).toString("hex") };
const environment = {
  SLEUTH_TEST_S3: `s3://${bucket}/tests`,
  AWS_ENDPOINT: `http://127.0.0.1:${port}`,
  AWS_ACCESS_KEY_ID: keys.user,
  AWS_SECRET_ACCESS_KEY: keys.password,
  ...(isMoto ? { SLEUTH_TEST_S3_CHECKS_NO_KEYS: "1" } : {}),
};

const minioArguments = ["server", folder, "--address", `127.0.0.1:${port}`, "--quiet"];
const server = spawn(program, isMoto ? ["-H", "127.0.0.1", "-p", `${port}`] : minioArguments, {
  env: { ...process.env, MINIO_ROOT_USER: keys.user, MINIO_ROOT_PASSWORD: keys.password, MINIO_BROWSER: "off" },
  stdio: ["ignore", "ignore", isMoto ? "ignore" : "inherit"],
});
server.on("error", () => {
  process.stderr.write(`${program} cannot be started. Install MinIO, or name a program: S3_SERVER=/path/to/minio\n`);
  rmSync(folder, { recursive: true, force: true });
  process.exit(1);
});
const stopped = new Promise((resolve) => server.on("exit", resolve));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => server.kill());

await untilItAnswers();
if (isMoto) await fetch(`${environment.AWS_ENDPOINT}/${bucket}`, { method: "PUT" });
const command = process.argv.slice(2);
if (command.length === 0) {
  for (const [name, value] of Object.entries(environment)) process.stdout.write(`export ${name}=${value}\n`);
} else {
  const child = spawn(command[0], command.slice(1), { env: { ...process.env, ...environment }, stdio: "inherit" });
  child.on("exit", (status) => {
    process.exitCode = status ?? 1;
    server.kill();
  });
}
await stopped;
rmSync(folder, { recursive: true, force: true });

async function untilItAnswers() {
  for (let tries = 0; tries < 100; tries++) {
    const isUp = await fetch(`${environment.AWS_ENDPOINT}${isMoto ? "/" : "/minio/health/live"}`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) return;
    await wait(100);
  }
  server.kill();
  throw new Error(`${program} did not answer within 10 s.`);
}

/** A port that nobody listened on a moment ago. */
function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

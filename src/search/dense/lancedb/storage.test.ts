import { describe, expect, it } from "vitest";
import { SearchError } from "../../engine.js";
import { checkFolder, lanceError, lancePlace } from "./storage.js";

describe("where tables are", () => {
  it.each([
    ["data/wiki", { address: "data/wiki", table: "", isRemote: false }],
    ["data/wiki/", { address: "data/wiki", table: "", isRemote: false }],
    ["data/wiki/papers.lance", { address: "data/wiki", table: "papers", isRemote: false }],
    ["papers.lance/", { address: ".", table: "papers", isRemote: false }],
    ["s3://bucket/wiki/", { address: "s3://bucket/wiki", table: "", isRemote: true }],
    ["s3://bucket/wiki/papers.lance", { address: "s3://bucket/wiki", table: "papers", isRemote: true }],
    ["GS://bucket", { address: "GS://bucket", table: "", isRemote: true }],
  ])("%s", (address, expected) => {
    expect(lancePlace(address, {})).toMatchObject(expected);
  });

  it("takes keys and endpoint from the environment, and only those of its kind of storage", () => {
    const environment = {
      AWS_ACCESS_KEY_ID: "key",
      AWS_SECRET_ACCESS_KEY: "secret",
      AWS_ENDPOINT_URL: "http://127.0.0.1:9000",
      GOOGLE_SERVICE_ACCOUNT: "/key.json",
      HOME: "/root",
      TIMEOUT: "7s",
    };
    const { storageOptions } = lancePlace("s3://bucket/a", environment);
    expect(storageOptions).toMatchObject({
      aws_access_key_id: "key",
      aws_endpoint: "http://127.0.0.1:9000",
      allow_http: "true",
      aws_region: "us-east-1",
      timeout: "7s",
    });
    expect(Object.keys(storageOptions).filter((name) => /google|home/.test(name))).toEqual([]);
    expect(lancePlace("gs://bucket/a", environment).storageOptions).toMatchObject({
      google_service_account: "/key.json",
    });
    expect(lancePlace("folder", environment).storageOptions).toEqual({});
  });

  it("does not send keys over http unless the endpoint says so", () => {
    const { storageOptions } = lancePlace("s3://bucket/a", { AWS_ENDPOINT: "https://storage.test", AWS_REGION: "eu" });
    expect(storageOptions.allow_http).toBeUndefined();
    expect(storageOptions.aws_region).toBe("eu");
  });

  it.each([
    ["", /needs the folder/],
    ["db://cloud", /not read from db:/],
    ["https://bucket.s3.test/a", /not read from https:/],
  ])("refuses %j", (address, message) => {
    expect(() => lancePlace(address, {})).toThrow(message);
  });

  it("a folder that is not there is said, not made", () => {
    expect(() => checkFolder(lancePlace("/nowhere/at/all", {}))).toThrow(/no folder \/nowhere/);
  });
});

describe("failures in words", () => {
  const place = lancePlace("s3://bucket/a", { AWS_SECRET_ACCESS_KEY: "s3cr3t/k+y", AWS_SESSION_TOKEN: "t0k3n" });

  it("hold no keys and no source positions", () => {
    const raw =
      "lance error: LanceError(IO): Generic S3 error: s3cr3t/k+y refused with t0k3n, /usr/local/cargo/registry/src/index-1949cf/lance-7.0.0/src/dataset/scanner.rs:4719:66";
    const { message, cause } = lanceError("a query", new Error(raw), place) as Error & { cause?: unknown };
    expect(message).toBe(
      "lancedb: a query failed: lance error: LanceError(IO): Generic S3 error: [key] refused with [key]",
    );
    expect(cause).toBeUndefined();
  });

  it.each([
    ["error sending request for url", true],
    ["Query Execution error: Query timeout after 5 ms", true],
    ["Server returned non-2xx status code: 503 Service Unavailable", true],
    ["Response error after 3 retries: SlowDown", true],
    ["This CreateIndex transaction was preempted by concurrent transaction. Please retry.", true],
    ["No vector column found to match with the query vector dimension: 5", false],
    ["Server returned non-2xx status code: 403 Forbidden", false],
    ["Client error with status 403 Forbidden after 3 retries, max_retries: 3, retry_timeout: 20s, timed out", false],
    ["Error performing PUT in 20s, after 2 retries: connection timeout; status code: 401 Unauthorized", false],
    ["operation timed out; last answer: AccessDenied", false],
    ["timeout after 403 ms", true],
    ["Object at location a/b not found", false],
  ])("%s: worth another try: %s", (message, isRetryable) => {
    const error = lanceError("a query", new Error(message), place);
    expect(error).toBeInstanceOf(SearchError);
    expect((error as SearchError).isRetryable).toBe(isRetryable);
  });
});

#!/usr/bin/env node
// The pinned Solidity compiler as the one command that py-solc-x and forge expect: `--version` and `--standard-json`.
// It is the WebAssembly build from npm, so no native compiler has to be downloaded.
import { readFileSync } from "node:fs";
import solc from "solc";

const STDIN = 0;

if (process.argv.includes("--version")) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
} else if (process.argv.includes("--standard-json")) {
  // A write to a pipe is not finished when the process is told to exit, so it is left to end by itself.
  process.stdout.write(solc.compile(readFileSync(STDIN, "utf8")));
} else {
  console.error("usage: solc.mjs --version | --standard-json < input.json");
  process.exitCode = 2;
}

// The pinned compiler, started once for many compilations: each line in is a standard-JSON request, each line out its
// answer. Most of the time of one small compilation is the start of the compiler.
import { createInterface } from "node:readline";
import solc from "solc";

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${solc.compile(line)}\n`);
}

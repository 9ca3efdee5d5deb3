// Reads [[tex, displayed], …] as JSON from standard input and writes
// [[position, fault], …] for what KaTeX refuses.
const { readFileSync } = require("node:fs");
const katex = require("katex");

const faults = [];
const formulas = JSON.parse(readFileSync(0, "utf8"));
for (const [position, [tex, displayMode]] of formulas.entries()) {
  try {
    katex.renderToString(tex, { displayMode, strict: "ignore" });
  } catch (error) {
    faults.push([position, `${tex}: ${error.message.split("\n")[0]}`]);
  }
}
process.stdout.write(JSON.stringify(faults));

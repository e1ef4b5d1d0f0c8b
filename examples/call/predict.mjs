// A prediction from Node 18 or newer, without packages: node examples/call/predict.mjs localhost:8081 pets cat.jpg
import { readFile } from "node:fs/promises";

const [server, model, file] = process.argv.slice(2);
const response = await fetch(`http://${server}/v1/models/${model}:predict?top_k=1`, {
  method: "POST",
  body: await readFile(file),
  signal: AbortSignal.timeout(30_000),
});
const answer = await response.json();
if (!response.ok) throw new Error(answer.detail);
const best = answer.predictions[0].labels[0];
console.log(`${best.label} ${best.probability.toFixed(3)}`);

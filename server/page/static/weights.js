// Shows where a linear model's score came from: each pixel times its weight. The weights are measured, not read.
import { $, ask, percent } from "./parts.js";
import { paint } from "./drawing.js";

export const MOST_PIXELS = 1024;
const SPEAKS = { true: [224, 96, 0], false: [36, 112, 220] }, CLOSE = 0.01;
const measured = new Map();

/**
 * The weights of a version, and the constant added to each score. A pixel's weight is the growth of a score when only
 * that pixel goes from 0 to 255, divided by 255.
 */
const weightsOf = async (model, version) => {
  const inputs = version.input_shape.reduce((a, b) => a * b, 1), classes = version.labels.length;
  const data = new Array((inputs + 1) * inputs).fill(0);
  for (let pixel = 0; pixel < inputs; pixel++) data[(pixel + 1) * inputs + pixel] = 255;
  const asked = { inputs: [{ name: "images", shape: [inputs + 1, ...version.input_shape], datatype: "UINT8", data }], outputs: [{ name: "logits" }] };
  const answer = await ask(`/v2/models/${encodeURIComponent(model.name)}/versions/${version.version}/infer`, {
    method: "POST", body: JSON.stringify(asked), headers: { "Content-Type": "application/json" },
  });
  const scores = answer.outputs.find(({ name }) => name === "logits").data;
  const bias = scores.slice(0, classes);
  const weights = bias.map((none, label) => Float64Array.from({ length: inputs }, (_, pixel) => (scores[(pixel + 1) * classes + label] - none) / 255));
  return { bias, weights };
};

const known = (model, version) => {
  if (!measured.has(version.digest)) {
    const asked = weightsOf(model, version);
    asked.catch(() => measured.delete(version.digest));
    measured.set(version.digest, asked);
  }
  return measured.get(version.digest);
};

/**
 * The parts of each class's score; null if they do not add up to the model's answer.
 *
 * @param pixels grey, 0 to 255.
 * @param first the most probable class's probability, as answered.
 */
export const partsOf = async (model, version, pixels, first) => {
  const { bias, weights } = await known(model, version);
  const products = weights.map((ones) => ones.map((weight, pixel) => weight * pixels[pixel]));
  const scores = products.map((ones, label) => ones.reduce((a, b) => a + b, bias[label]));
  const most = Math.max(...scores);
  const share = 1 / scores.reduce((sum, score) => sum + Math.exp(score - most), 0);
  return Math.abs(share - first) < CLOSE ? { bias, weights, products, scores } : null;
};

/** Shows the parts of one class's score. */
export const showParts = ({ bias, weights, products, scores }, pixels, version, label) => {
  const [height, width] = version.input_shape, name = version.labels[label];
  const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(1);
  const coloured = (canvas, values) => {
    const most = values.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-9);
    paint(canvas, values, width, height, (value) => [...SPEAKS[value > 0], (255 * Math.abs(value)) / most]);
  };
  paint($("pixels"), pixels, width, height);
  coloured($("weights"), weights[label]);
  coloured($("products"), products[label]);
  $("score").firstElementChild.textContent = signed(scores[label]);
  $("score").lastElementChild.textContent = `score of ${name}`;
  const sum = (sign) => products[label].reduce((total, value) => total + (sign * value > 0 ? value : 0), 0);
  $("spoken").textContent = `Orange pixels raise the score of ${name}: ${signed(sum(1))}. Blue pixels lower it: ${signed(sum(-1))}. ` +
    `The model adds ${signed(bias[label])} to every image's score. The class with the highest score is the answer.`;
};

// Shows a model's claim, its mistakes, its versions and its speed.
import { $, count, counted, listed, make, percent, variables } from "./parts.js";

/** The address of a version's document. */
export const address = (model, version, part) => `/v1/models/${encodeURIComponent(model.name)}/versions/${version.version}/${part}`;

/** Shows all of it. */
export const showCard = (models, model, version, about) => {
  $("models").replaceChildren(...(models.length > 1 ? models : []).map((one) => {
    const link = make("a", { href: `#/${encodeURIComponent(one.name)}`, textContent: one.name });
    if (one === model) link.ariaCurrent = "page";
    return link;
  }));
  for (const id of ["served", "speed", "more"]) $(id).hidden = !version;
  $("name").textContent = model?.name ?? "No model yet";
  document.title = model ? `${model.name} · Vouch` : "Vouch";
  $("lead").textContent = lead(model, version);
  showVersions(model, version);
  if (!version) return;
  showTrust(version);
  showConfusion(version.labels, about.confusion);
  showQuestion(about, address(model, version, "report"));
  showMore(model, version, about);
};

const lead = (model, version) => {
  if (!model) return "The models folder is empty. Train a model with vouch train, and it appears here.";
  if (!version) return "No version is served now. The reason is below.";
  const { task, labels, claim, caveats } = version, several = task === "multi_label";
  const names = listed(labels.slice(0, 13)), few = labels.length < 13 && names.length < 120 ? `: ${names}` : "";
  const what = several ? `Finds ${count(labels.length)} labels in images` : `Distinguishes ${count(labels.length)} classes`;
  const chance = caveats.some(({ kind }) => kind === "no_better_than_chance") ? " That is no better than chance." : "";
  return `${what}${few}. It was right for ${percent(claim.accuracy)} of ${counted(claim.total, "validation image")}.${chance}`;
};

const fact = (kind, figure, what, more) =>
  make("p", { className: kind }, make("b", { textContent: figure }), make("span", { className: "what", textContent: what }), make("span", { textContent: more }));
const showTrust = (version) => {
  const { claim, served, recount, baseline, caveats, calibration } = version;
  const differing = recount.differing ? `Answers that differ from the claim: ${count(recount.differing)}, allowed: ${count(recount.allowed)}.` : "Every answer is as claimed.";
  const facts = [
    fact(claim.low <= baseline.accuracy ? "bad" : "main", percent(claim.accuracy, 2), "claimed", `Counted after training: right for ${count(claim.correct)} of ${counted(claim.total, "validation image")}. 95% interval: ${percent(claim.low)} to ${percent(claim.high)}.`),
    fact(served.accuracy < claim.low ? "bad" : "", percent(served.accuracy, 2), "recounted here", `Counted by this server before it served the model: right for ${count(served.correct)} of ${count(served.total)}. ${differing}`),
  ];
  if (calibration) facts.push(fact("", percent(calibration.error_after), "calibration error", "How far its probabilities are from the share of right answers, on average."));
  $("trust").replaceChildren(...facts);
  const mark = (at, kind) => variables(make("b", { className: kind }), { at });
  const name = (at, kind, text) => variables(make("span", { className: kind, textContent: text }), { at });
  const guess = `always the same answer: ${percent(baseline.accuracy)}`;
  $("scale").replaceChildren(
    variables(make("i"), { from: claim.low, span: claim.high - claim.low }), mark(claim.accuracy, ""), mark(baseline.accuracy, "base"),
    name(claim.accuracy, "", `this model: ${percent(claim.low)} to ${percent(claim.high)}`), name(baseline.accuracy, "low", guess));
  $("scale").ariaLabel = `On a scale from 0 to 100%: this model, ${percent(claim.low)} to ${percent(claim.high)}; ${guess}.`;
  $("caveats").replaceChildren(...caveats.map(({ text }) => make("li", {}, make("strong", { textContent: "Warning: " }), `${text}.`)));
};
const showConfusion = (labels, confusion) => {
  $("confused").hidden = !confusion;
  if (!confusion) return;
  const wrong = confusion.pairs.filter(([label, answer]) => label !== answer).sort((a, b) => b[2] - a[2]);
  const [label, answer, times] = wrong[0] ?? [];
  $("confused-lead").textContent = !wrong.length ? "No image was answered wrongly."
    : `The most frequent mistake: ${labels[label]} classified as ${labels[answer]}, ${count(times)} time${times === 1 ? "" : "s"}.` +
      (confusion.whole ? " A row is the true class, a column the answer." : "");
  $("confusion").replaceChildren(confusion.whole ? matrix(labels, confusion.pairs) : pairs(labels, wrong));
};
const head = (scope, text) => make("th", { scope, textContent: text, title: text });
const matrix = (labels, all) => {
  const found = new Map(all.map(([label, answer, times]) => [`${label},${answer}`, times]));
  const totals = labels.map((_, label) => all.filter((pair) => pair[0] === label).reduce((sum, pair) => sum + pair[2], 0));
  const cell = (label, answer) => {
    const times = found.get(`${label},${answer}`) ?? 0, share = times / (totals[label] || 1);
    const strength = label === answer ? share : Math.min(1, Math.sqrt(share) * 1.6);
    return variables(make("td", { textContent: times || "", className: times ? (label === answer ? "right" : "wrong") : "" }), { v: strength });
  };
  const rows = labels.map((name, label) => make("tr", {}, head("row", name), ...labels.map((_, answer) => cell(label, answer))));
  const longest = Math.min(7, Math.max(...labels.map((name) => name.length)) * 0.6 + 1), few = labels.length <= 6;
  return variables(make("table", { className: few ? "matrix few" : "matrix" }, make("thead", {}, make("tr", {}, make("td"), ...labels.map((name) => head("col", name)))), make("tbody", {}, ...rows)), { k: labels.length, name: longest, column: few ? Math.max(3.1, longest) : 3.1 });
};
const pairs = (labels, wrong) => make("table", { className: "pairs" },
  make("thead", {}, make("tr", {}, head("col", "class"), head("col", "classified as"), head("col", "images"))),
  make("tbody", {}, ...wrong.map(([label, answer, times]) => make("tr", {}, head("row", labels[label]), make("td", { textContent: labels[answer] }), make("td", { textContent: count(times) })))));

const REPLIES = {
  linear: "Each pixel is multiplied by a weight, and the products are added up. The sum is a new number, the score of a class.",
  layers: "Each layer computes new numbers from the ones before it. The last ones are the scores of the classes.",
  backbone: "A network that others trained computes numbers from the image. These are multiplied by weights, and the sums are the scores of the classes.",
};
const showQuestion = ({ network, report }, address) => {
  $("reply").replaceChildren(`No. The image stays as it is. ${REPLIES[network] ?? REPLIES.layers} Training changes the weights, never the image. `);
  if (report) $("reply").append(make("a", { href: `${address}#how-it-learned`, textContent: "See it step by step in the learning report" }), ".");
};
const showVersions = (model, version) => {
  const tag = (kind, text) => make("span", { className: `tag ${kind}`, textContent: text });
  const item = (number, badge, text) => make("li", {}, number, badge, make("p", { textContent: text }));
  const served = (model?.versions ?? []).map((one) => item(
    make("a", { href: `#/${encodeURIComponent(model.name)}/${one.version}`, textContent: `Version ${one.version}` }), tag("", one.role),
    `Right for ${count(one.claim.correct)} of ${counted(one.claim.total, "image")}, and for ${count(one.served.correct)} in this server's recount.` + (one === version && model.versions.length > 1 ? " Shown here." : "")));
  const refused = (model?.refusals ?? []).map((one) => item(`Version ${one.version}`, tag("bad", one.held_back ? "held back" : "refused"), `${one.reason}.`));
  const waiting = (model?.verifying ?? []).map((number) => item(`Version ${number}`, tag("wait", "being verified"), "Its answers are being counted."));
  $("history").hidden = !model;
  $("versions").replaceChildren(...served.reverse(), ...refused.reverse(), ...waiting);
};
/** Shows how fast a version has answered. */
export const showSpeed = ({ requests, half_ms, most_ms }) => {
  const within = (ms) => ms === null ? "over 10 s" : ms < 1 ? `${count(1000 * ms)} µs` : `${count(ms)} ms`;
  $("latency").textContent = !requests ? "No request has been answered yet." :
    `${count(requests)} request${requests === 1 ? "" : "s"} answered so far. Half of them took at most ${within(half_ms)} in the server, and 99% at most ${within(most_ms)}.`;
};
const showMore = (model, version, about) => {
  const links = [about.report && ["report", "Learning report"], about.card && ["card", "Model card"]].filter(Boolean);
  $("links").replaceChildren(...links.map(([part, text]) => make("a", { className: "button", href: address(model, version, part), textContent: text })));
  $("curl").textContent = `curl --data-binary @image.jpg ${location.origin}/v1/models/${model.name}:predict`;
};

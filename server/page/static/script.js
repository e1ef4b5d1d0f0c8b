// The page: regularly loads what is served, and sends images to the model. It contacts only its own server.
import { $, Away, Refused, ask, counted, listed, make, percent, variables } from "./parts.js";
import { Pad, asFile, paint, pixelsOf } from "./drawing.js";
import { MOST_PIXELS, partsOf, showParts } from "./weights.js";
import { address, showCard, showSpeed } from "./card.js";

const PAUSE_MS = 2000, SHOWN = 5, MOST_SIDE = 64;
const STATES = { serving: ["good", "Serving"], verifying: ["", "Being verified"], loading: ["", "Being loaded"], refused: ["bad", "Refused"] };

let models = [], model = null, version = null, about = null, known = "";
/** The current image: a file, and its pixels if the page knows them. */
let asked = null, waiting = false, again = false, parts = null;

// ---- what is served

const watch = async () => {
  try {
    if (!document.hidden) await look();
  } finally {
    setTimeout(watch, PAUSE_MS);
  }
};
const look = async () => {
  try {
    models = (await ask("/v1/models")).models;
    const back = !$("notice").hidden;
    reached(true);
    await choose();
    if (back) predict();
    if (version) showSpeed(await ask(address(model, version, "latency")));
  } catch (error) {
    if (error instanceof Away) reached(false);
    else if (error instanceof Refused) say("bad", error.message);
    else throw error;
  }
};
const reached = (answers) => {
  if ($("notice").hidden === answers) return;
  $("notice").hidden = answers;
  $("notice").textContent = answers ? "" : "The server does not answer. This page tries again every two seconds.";
  if (!answers) say("bad", "No answer");
};
const say = (kind, text) => {
  if ($("state").textContent !== text) $("state").textContent = text;
  $("state").className = kind;
};
/** The model and version that the address names, as #/digits or #/digits/3. */
const named = () => {
  try {
    return location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  } catch {
    return [];
  }
};
/** Whether this version is still shown: each look at the server gives a new object for it. */
const isShown = ({ digest }) => version?.digest === digest;
const choose = async () => {
  const [name, number] = named(), before = version?.digest;
  model = models.find((one) => one.name === name) ?? models[0] ?? null;
  const versions = model?.versions ?? [];
  version = versions.find((one) => String(one.version) === number) ?? versions.find((one) => one.role === "live") ?? versions.at(-1) ?? null;
  say(...(model ? STATES[model.state] ?? ["", model.state] : ["", "No model yet"]));
  const now = JSON.stringify([models, model?.name, version?.digest]);
  if (now === known) return;
  about = version && await ask(address(model, version, "about"));
  known = now;
  showCard(models, model, version, about);
  if (version && version.digest !== before) begin();
};

// ---- predicting an image

const pad = new Pad($("pad"), () => draw());
const side = () => {
  const [height, width, channels = 1] = version.input_shape;
  return version.labels.every((name) => name.length === 1) && height === width && channels === 1 && height <= MOST_SIDE ? height : 0;
};
const begin = () => {
  const what = version.labels.every((name) => /^\d$/.test(name)) ? "digit" : "letter", promises = version.calibration?.coverages ?? [];
  $("coverage").replaceChildren(...promises.map(({ promised }) => make("option", { value: promised, textContent: `${+(100 * promised).toFixed(2)}%` })));
  $("coverage").value = promises.find(({ promised }) => promised === 0.95)?.promised ?? promises[0]?.promised ?? "";
  $("class").replaceChildren(...version.labels.map((name, place) => make("option", { value: place, textContent: name })));
  $("draw").hidden = !side();
  $("hint").classList.toggle("empty", !side());
  $("hint").dataset.text = side() ? `Draw a ${what} above. Or drop, paste or choose an image.` : "Drop an image here, paste one, or choose one.";
  clear();
  showExamples();
};
const clear = () => {
  asked = null;
  pad.clear();
  URL.revokeObjectURL($("picture").src);
  $("picture").removeAttribute("src");
  $("shown").hidden = $("clear").hidden = true;
  $("draw").hidden = !side();
  $("hint").textContent = $("hint").dataset.text;
  $("hint").classList.toggle("empty", !side());
  quiet("The answer appears here.", "quiet");
};
const quiet = (text, kind) => {
  $("answer").className = `said ${kind}`;
  $("answer").textContent = text;
  $("bars").replaceChildren();
  $("from").textContent = "";
  $("set").hidden = $("why").hidden = $("seen").hidden = true;
};
const draw = async () => {
  if (pad.empty) return clear();
  $("clear").hidden = false;
  const pixels = pad.pixels(side()), drawn = { pixels };
  asked = drawn;
  drawn.file = await asFile(pixels, side());
  if (asked === drawn) predict();
};
const take = async (file, alt = "Your image") => {
  if (!file || !version) return;
  clear();
  const taken = asked = { file, pixels: null }, picture = $("picture");
  Object.assign(picture, { src: URL.createObjectURL(file), alt });
  $("draw").hidden = true;
  $("shown").hidden = $("clear").hidden = false;
  const [height, width, channels = 1] = version.input_shape, fit = { stretch: "stretched to fit", crop: "cropped to the middle", pad: "padded to fit" }[version.decoding.fit];
  $("hint").classList.remove("empty");
  $("hint").textContent = `The model sees ${width} × ${height} pixels${channels === 1 ? " in grey" : ""}. As in training, the image is ${fit ?? "resized"}.`;
  await picture.decode().catch(() => {});
  picture.classList.toggle("pixelated", picture.naturalWidth <= MOST_SIDE);
  if (channels === 1 && picture.naturalWidth === width && picture.naturalHeight === height) taken.pixels = pixelsOf(picture, width, height);
  if (asked === taken) predict();
};
const predict = async () => {
  if (!asked?.file || !version) return;
  if (waiting) return void (again = true);
  const image = asked, whose = version, began = performance.now(), coverage = $("coverage").value;
  const query = new URLSearchParams({ version: whose.version, top_k: Math.min(SHOWN, whose.labels.length), ...(coverage && { coverage }) });
  waiting = true;
  $("answer").ariaBusy = "true";
  try {
    const answer = await ask(`/v1/models/${encodeURIComponent(model.name)}:predict?${query}`, {
      method: "POST", body: image.file, headers: { "Content-Type": image.file.type || "application/octet-stream" },
    });
    if (asked && isShown(whose)) await tell(answer, image, performance.now() - began);
  } catch (error) {
    if (!(error instanceof Away || error instanceof Refused)) throw error;
    if (error instanceof Away) reached(false);
    if (asked === image) quiet(error.message, "wrong");
  } finally {
    waiting = false;
    $("answer").ariaBusy = "false";
    if (again) (again = false, predict());
  }
};
const tell = async ({ version: by, predictions: [{ labels, label_set: set }] }, { pixels }, ms) => {
  const several = version.task === "multi_label", [first] = labels;
  $("answer").className = "said";
  $("answer").replaceChildren(make("span", { textContent: several ? listed(set) || "none of the labels" : first.label }), " ",
    make("small", { textContent: several ? "" : percent(first.probability) }));
  const longest = Math.max(...labels.map(({ label }) => label.length));
  $("bars").className = longest < 3 ? "bars short" : longest > 14 ? "bars long" : "bars";
  $("bars").replaceChildren(...labels.map(({ label, probability }) => make("li", {}, make("span", { textContent: label }),
    make("span", { className: "bar", ariaHidden: "true" }, variables(make("i"), { share: probability })), make("span", { textContent: percent(probability) }))));
  $("set").hidden = several || !set;
  if (set && !several) $("labels").textContent = `This label set has ${counted(set.length, "label")}: ${listed(set, "disjunction")}.`;
  $("from").textContent = `Version ${by} answered in ${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms, network included.`;
  $("seen").hidden = !pixels || pad.empty;
  if (pixels && !pad.empty) {
    const [height, width] = version.input_shape;
    paint($("sight"), pixels, width, height);
    $("seen").lastElementChild.textContent = `As the model sees it: ${width} × ${height} pixels, centred and scaled like the images it learned from.`;
  }
  await explain(pixels, first);
};
const explain = async (pixels, first) => {
  const can = pixels && about.network === "linear" && version.task === "single_label" && pixels.length <= MOST_PIXELS;
  const found = can ? await partsOf(model, version, pixels, first.probability).catch(() => null) : null;
  parts = found && { found, pixels };
  $("why").hidden = !parts;
  if (!parts) return;
  $("class").value = version.labels.indexOf(first.label);
  showParts(found, pixels, version, Number($("class").value));
};

// ---- images of the validation split

const showExamples = async () => {
  const whose = version, path = address(model, version, "examples");
  $("shows").hidden = true;
  const examples = about.examples ? (await ask(path).catch(() => ({ examples: [] }))).examples : [];
  if (!isShown(whose) || !examples.length) return;
  const small = whose.input_shape[0] <= MOST_SIDE;
  $("examples").replaceChildren(...examples.map(({ number, labels, answers }) => {
    const label = listed(labels) || "no label", answer = listed(answers) || "no label", right = label === answer;
    const button = make("button", { type: "button" }, make("img", { src: `${path}/${number}`, alt: "", className: small ? "pixelated" : "" }),
      label, make("span", { textContent: right ? "" : `answered ${answer}` }));
    button.addEventListener("click", async () => {
      await take(await (await fetch(`${path}/${number}`)).blob(), `An image of the validation split: ${label}`);
      $("input").scrollIntoView({ block: "center" });
    });
    return make("li", {}, button);
  }));
  $("shows").hidden = false;
};

for (const id of ["choose", "camera"]) $(id).addEventListener("change", (event) => {
  take(event.target.files[0]);
  event.target.value = "";
});
$("clear").addEventListener("click", clear);
$("coverage").addEventListener("change", predict);
$("class").addEventListener("change", () => showParts(parts.found, parts.pixels, version, Number($("class").value)));
addEventListener("hashchange", look);
addEventListener("paste", (event) => take(event.clipboardData.files[0]));
addEventListener("dragover", (event) => (event.preventDefault(), $("input").classList.add("over")));
addEventListener("dragleave", () => $("input").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  $("input").classList.remove("over");
  take(event.dataTransfer.files[0]);
});
document.addEventListener("visibilitychange", () => document.hidden || look());
watch();

(() => {
  "use strict";
  const source = document.getElementById("weigh-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const floats = (text) => text && new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const classes = data.classes.map((one) => ({ ...one, weights: floats(one.weights) }));
  const images = data.images.map((one) => ({ ...one, inputs: floats(one.inputs) }));
  const find = (name) => document.getElementById("weigh-" + name);
  const signed = (value, digits = 2) => value.toFixed(digits).replace("-", "\u2212");
  const percent = (share) => {
    const text = (100 * share).toFixed(2);
    return (text === "100.00" && share < 1 ? ">99.99" : text === "0.00" && share > 0 ? "<0.01" : text) + "%";
  };
  const FOR = [224, 96, 0], AGAINST = [36, 112, 220];
  const now = { image: images[0], k: data.first.k, input: data.first.input, change: 0 };

  /* The model's last layer: each score is a sum; from all scores come the probabilities. */
  const weight = (k, input, change) => classes[k].weights[input] + (k === now.k && input === now.input ? change : 0);
  const score = (k, change) => {
    const { weights, bias } = classes[k];
    if (!weights) return 0;
    return now.image.inputs.reduce((sum, x, input) => sum + x * weight(k, input, change), bias + now.image.rest[k]);
  };
  const answers = (change) => {
    const scores = classes.map((_, k) => score(k, change));
    const scaled = scores.map((value) => value / data.temperature);
    if (data.thresholds) {
      const shares = scaled.map((value) => 1 / (1 + Math.exp(-value)));
      return { scores, shares, said: shares.map((share, k) => share >= data.thresholds[k]) };
    }
    const most = Math.max(...scaled, now.image.others ?? -Infinity);
    const parts = scaled.map((value) => Math.exp(value - most));
    const all = parts.reduce((sum, part) => sum + part, now.image.others === null ? 0 : Math.exp(now.image.others - most));
    return { scores, shares: parts.map((part) => part / all), said: scores.map((value) => value === Math.max(...scores)) };
  };

  const rows = Math.ceil(images[0].inputs.length / data.columns);
  const inputName = () => data.inputs ? data.inputs[now.input]
    : `row ${Math.floor(now.input / data.columns) + 1}, column ${now.input % data.columns + 1}`;
  const twoColours = (limit) => (value) => [...(value < 0 ? AGAINST : FOR), 255 * Math.min(1, Math.abs(value) / limit)];
  const grey = (x) => { const level = Math.round(x * data.scale[1] + data.scale[0]); return [level, level, level, 255]; };
  const paint = (canvas, values, colour) => {
    const picture = new ImageData(data.columns, rows);
    values.forEach((value, place) => picture.data.set(colour(value), 4 * place));
    Object.assign(canvas, { width: data.columns, height: rows });
    canvas.getContext("2d").putImageData(picture, 0, 0);
  };

  const names = (said) => classes.filter((_, k) => said[k]).map((one) => one.name).join(", ") || "none";
  const sentence = (before, after, name) => {
    const from = names(before.said), to = names(after.said);
    const [score, share] = [before, after].map((at) => [signed(at.scores[now.k]), percent(at.shares[now.k])]).reduce(
      ([s, p], [t, q]) => now.change ? [`${s} \u2192 ${t}`, `${p} \u2192 ${q}`] : [s, p]);
    const answer = !now.change ? `Answer: ${from}` : from === to ? `The answer is still ${to}` : `The answer was ${from}, now it is ${to}`;
    return `Score of ${name}: ${score}. Probability: ${share}. ${answer}.`;
  };

  const show = () => {
    const { inputs, rest } = now.image, change = now.change * data.step;
    const before = answers(0), after = answers(change), here = classes[now.k];
    const weights = inputs.map((_, input) => weight(now.k, input, change));
    const x = inputs[now.input], w = here.weights[now.input] + change;
    const twoLimits = data.limits[0] * data.limits[1];
    paint(find("inputs"), inputs, data.inputs ? twoColours(data.limits[1]) : grey);
    paint(find("weights"), weights, twoColours(data.limits[0]));
    paint(find("products"), inputs.map((value, input) => value * weights[input]), twoColours(twoLimits / 2));
    document.querySelectorAll("#weigh .cells i").forEach((frame) => Object.assign(frame.style, {
      left: 100 * (now.input % data.columns) / data.columns + "%", top: 100 * Math.floor(now.input / data.columns) / rows + "%",
      width: 100 / data.columns + "%", height: 100 / rows + "%",
    }));
    const score = after.scores[now.k];
    for (const [name, value] of [["x", x], ["w", w], ["rest", score - x * w - here.bias], ["bias", here.bias], ["score", score]])
      find(name).textContent = signed(value, 4);
    find("name").textContent = inputName();
    Object.assign(find("input"), { value: now.input, ariaValueText: inputName() });
    Object.assign(find("change"), { value: now.change, ariaValueText: `${signed(change, 3)}, weight ${signed(w, 3)}` });
    find("class").value = now.k;
    find("said").textContent = sentence(before, after, here.name);
    [...find("rows").tBodies[0].rows].forEach((row, k) => {
      const [name, number, share, bar] = row.cells, [label, answer] = name.querySelectorAll(".tag");
      label.hidden = !now.image.true.includes(k);
      answer.hidden = !after.said[k];
      row.classList.toggle("true", !label.hidden);
      number.textContent = signed(after.scores[k], 4);
      share.textContent = percent(after.shares[k]);
      bar.querySelector("i").style.width = 100 * after.shares[k] + "%";
    });
  };

  const change = (what) => { Object.assign(now, what); show(); };
  const choose = (input) => { if (input >= 0 && input < now.image.inputs.length) change({ input, change: 0 }); };
  document.querySelectorAll("[name=weigh-image]").forEach((radio) =>
    radio.addEventListener("change", () => change({ image: images[radio.value] })));
  find("class").addEventListener("change", (event) => change({ k: Number(event.target.value), change: 0 }));
  find("input").addEventListener("input", (event) => choose(Number(event.target.value)));
  find("input").addEventListener("keydown", (event) => {
    const by = { ArrowUp: -data.columns, ArrowDown: data.columns }[event.key];
    if (!by) return;
    event.preventDefault();
    choose(now.input + by);
  });
  find("change").addEventListener("input", (event) => change({ change: Number(event.target.value) }));
  find("back").addEventListener("click", () => change({ change: 0 }));
  document.querySelectorAll("#weigh canvas").forEach((canvas) => canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    const at = (place, size, count) => Math.min(count - 1, Math.max(0, Math.floor(count * place / size)));
    choose(at(event.clientY - box.top, box.height, rows) * data.columns + at(event.clientX - box.left, box.width, data.columns));
  }));
  find("hint").hidden = true;
  document.getElementById("weigh").hidden = false;
  show();
})();

// A pad to draw on, and the model's input made from it: few grey pixels, centred and scaled like MNIST's digits.
const PEN = 0.055, STEP = 0.03, FINE = 8;
const READ = { willReadFrequently: true };

export class Pad {
  #strokes = [];
  #pen = { x: 0.5, y: 0.3, down: false };

  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#go(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { this.drawing = false; });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    for (const focus of ["focus", "blur"]) canvas.addEventListener(focus, () => this.#paint());
  }

  get empty() {
    return this.#strokes.length === 0;
  }

  clear() {
    this.#strokes = [];
    this.#pen = { x: 0.5, y: 0.3, down: false };
    this.#paint();
  }

  /**
   * The drawing: side * side numbers from 0 to 255, ink bright.
   *
   * MNIST's digits fill a box of 20 x 20 pixels, and their centre of mass is in the middle of 28 x 28
   * (http://yann.lecun.com/exdb/mnist/). In smaller images, such as the digits of 8 x 8 that come with Vouch, they
   * fill the whole height.
   */
  pixels(side) {
    const small = side < 16, pen = side * (small ? 0.175 : 0.09);
    const xs = this.#strokes.flat().map(([x]) => x), ys = this.#strokes.flat().map(([, y]) => y);
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const room = (small ? side : (side * 20) / 28) - pen;
    const scale = room / Math.max(right - left, bottom - top, 0.1);
    const place = { x: side / 2 - (scale * (left + right)) / 2, y: side / 2 - (scale * (top + bottom)) / 2, scale, pen };
    const ink = this.#drawn(side, place);
    if (small) return ink;
    const [x, y] = centre(ink, side);
    return this.#drawn(side, { ...place, x: place.x + side / 2 - x, y: place.y + side / 2 - y });
  }

  /** Draws the strokes on finer pixels, and averages these. */
  #drawn(side, { x, y, scale, pen }) {
    const fine = side * FINE, context = new OffscreenCanvas(fine, fine).getContext("2d", READ);
    context.scale(FINE, FINE);
    stroke(context, this.#strokes, pen, ([px, py]) => [x + scale * px, y + scale * py]);
    const alpha = context.getImageData(0, 0, fine, fine).data;
    const ink = new Float64Array(side * side);
    for (let row = 0; row < fine; row++) for (let column = 0; column < fine; column++) {
      ink[Math.floor(row / FINE) * side + Math.floor(column / FINE)] += alpha[4 * (row * fine + column) + 3];
    }
    return Uint8ClampedArray.from(ink, (sum) => sum / FINE ** 2);
  }

  #begin(event) {
    this.drawing = true;
    this.canvas.setPointerCapture(event.pointerId);
    this.#strokes.push([this.#where(event)]);
    this.#drew();
  }

  #go(event) {
    if (!this.drawing) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    for (const move of moves.length ? moves : [event]) this.#strokes.at(-1).push(this.#where(move));
    this.#drew();
  }

  #where({ clientX, clientY }) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [(clientX - left) / width, (clientY - top) / height];
  }

  #key(event) {
    const step = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (!step && event.key !== " " && event.key !== "Delete") return;
    event.preventDefault();
    const pen = this.#pen;
    if (event.key === "Delete") {
      this.clear();
      return this.changed();
    }
    if (event.key === " ") pen.down = !pen.down;
    if (event.key === " " && pen.down) this.#strokes.push([]);
    if (step) [pen.x, pen.y] = [pen.x + step[0], pen.y + step[1]].map((at) => Math.min(0.97, Math.max(0.03, at)));
    if (!pen.down) return this.#paint();
    this.#strokes.at(-1).push([pen.x, pen.y]);
    this.#drew();
  }

  #drew() {
    this.#paint();
    this.changed();
  }

  #paint() {
    const { width, height } = this.canvas, context = this.canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.strokeStyle = context.fillStyle = "#fff";
    stroke(context, this.#strokes, PEN * width, ([x, y]) => [x * width, y * height]);
    if (!this.canvas.matches(":focus-visible")) return;
    context.fillStyle = this.#pen.down ? "#6ccfc9" : "#9ba4b1";
    context.beginPath();
    context.arc(this.#pen.x * width, this.#pen.y * height, 9, 0, 2 * Math.PI);
    context.fill();
  }
}

const stroke = (context, strokes, pen, place) => {
  Object.assign(context, { lineWidth: pen, lineCap: "round", lineJoin: "round" });
  for (const points of strokes) {
    context.beginPath();
    points.map(place).forEach(([x, y], number) => (number ? context.lineTo(x, y) : context.moveTo(x, y)));
    if (points.length) context.lineTo(...place(points.at(-1)));
    context.stroke();
  }
};

const centre = (ink, side) => {
  let [sum, x, y] = [0, 0, 0];
  ink.forEach((value, place) => {
    sum += value;
    x += value * ((place % side) + 0.5);
    y += value * (Math.floor(place / side) + 0.5);
  });
  return [x / sum, y / sum];
};

/** Draws grey pixels on a canvas of the same size. */
export const paint = (canvas, pixels, width, height, colour = (value) => [value, value, value, 255]) => {
  Object.assign(canvas, { width, height });
  const data = new Uint8ClampedArray(4 * width * height);
  pixels.forEach((value, place) => data.set(colour(value), 4 * place));
  canvas.getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
};

/** The grey pixels of a picture of this size. */
export const pixelsOf = (picture, width, height) => {
  const context = new OffscreenCanvas(width, height).getContext("2d", READ);
  context.drawImage(picture, 0, 0);
  return context.getImageData(0, 0, width, height).data.filter((_, place) => place % 4 === 0);
};

/** Grey pixels as a PNG file. */
export const asFile = (pixels, side) => {
  const canvas = document.createElement("canvas");
  paint(canvas, pixels, side, side);
  return new Promise((done) => { canvas.toBlob(done, "image/png"); });
};

(() => {
  "use strict";
  const contents = document.querySelector("nav details");
  if (matchMedia("(max-width: 61.99rem)").matches) contents.open = false;

  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) {
      links.forEach((a, key) => a.classList.toggle("here", key === entry.target.id));
    }
  }, { rootMargin: "-10% 0px -80% 0px" });
  document.querySelectorAll("main section").forEach((section) => seen.observe(section));

  const source = document.getElementById("gallery-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const gallery = document.getElementById("gallery");
  const percent = (share) => (100 * share).toFixed(1) + "%";
  const element = (tag, text = "") => Object.assign(document.createElement(tag), { textContent: text });
  const position = (place, places) => (places > 1 ? (100 * place) / (places - 1) : 0) + "%";

  const picture = ([place, row, truth, answer, name], t, a) => {
    const item = element("li");
    const sprite = element("span");
    sprite.className = "sprite";
    sprite.role = "img";
    sprite.ariaLabel = `validation image ${row}`;
    const file = Object.assign(element("span", name.split("/").pop()), { className: "file", title: `${name}, validation image ${row}` });
    sprite.style.backgroundPosition =
      position(place % data.columns, data.columns) + " " + position(Math.floor(place / data.columns), data.rows);
    item.append(sprite, file, t === a ? percent(truth) : `${percent(answer)}, not ${percent(truth)}`);
    return item;
  };

  const show = (button) => {
    const key = button.dataset.cell;
    const [t, a] = key.split(",");
    const images = data.cells[key] ?? [];
    document.querySelectorAll("[data-cell]").forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.cell === key)));
    const count = Number(button.textContent.replace(/\D/g, ""));
    const some = images.length < count ? `; ${images.length} of them` : "";
    const which = t === a ? ", those it was least sure of" : ", those it was surest of";
    const words = element("p");
    words.append(element("b", `Label ${data.names[t]}, answer ${data.names[a]}`),
      `: ${count} image${count === 1 ? "" : "s"}${some}${some ? which : ""}`);
    const list = element("ul");
    list.append(...images.map((image) => picture(image, t, a)));
    gallery.replaceChildren(words, list);
  };
  document.querySelectorAll("[data-cell]").forEach((b) => b.addEventListener("click", () => {
    show(b);
    if (b.className === "link") gallery.scrollIntoView({ block: "nearest" });
  }));

  const mistakes = [...document.querySelectorAll(".confusion .wrong button")];
  const first = mistakes.sort((x, y) => Number(y.textContent) - Number(x.textContent))[0] ?? document.querySelector("[data-cell]");
  if (first) show(first);
})();

// Which subset the distributions are drawn of.
function subsets() {
  const choice = one("#subset");
  const show = () => all("[data-of]").forEach((figure) => { figure.hidden = figure.dataset.of !== choice.value; });
  choice?.addEventListener("change", show);
  if (choice) show();
}

// A threshold moved along its curve: the counts are those of stored evidence, at every step exact.
function thresholds() {
  const curves = JSON.parse(one("#curves")?.textContent || "[]");
  all(".curve").forEach((figure, place) => {
    const curve = curves[place], slider = one("input", figure), output = one("output", figure), back = one("button", figure);
    const plot = one(".role-frame.root .background", figure);
    const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
    cursor.setAttribute("class", "cursor");
    plot.parentNode.appendChild(cursor);
    const scaled = (x) => (curve.log ? Math.log(x) : x);
    const [low, high] = [scaled(curve.at[0]), scaled(curve.at[curve.at.length - 1])];
    const places = curve.at.map((x) => (high > low ? (scaled(x) - low) / (high - low) : 0));
    const svg = one("svg", figure), box = plot.getBBox(), left = plot.getCTM().e / svg.getCTM().a;
    const whole = svg.viewBox.baseVal.width;
    slider.style.marginLeft = `calc(${(100 * left) / whole}% - 8px)`; // the knob stands under the line
    slider.style.width = `calc(${(100 * box.width) / whole}% + 16px)`;
    let n = curve.start;
    const move = () => {
      const at = curve.at[n], least = curve.least[n], most = curve.most[n], x = box.x + places[n] * box.width;
      for (const [name, value] of [["x1", x], ["x2", x], ["y1", box.y], ["y2", box.y + box.height]]) cursor.setAttribute(name, value);
      slider.value = Math.round(1000 * places[n]);
      const exact = least === most;
      const rows = exact ? count(least) : `${count(least)} to ${count(most)}`;
      const change = least - curve.kept;
      const tied = n === curve.start && change; // the cut falls among equals
      const against = !exact || tied ? `, now ${count(curve.kept)}${tied ? ": of equals the uid decides" : ""}` : change ? `, ${change > 0 ? "+" : "\u2212"}${count(Math.abs(change))}` : ", as now";
      const share = curve.entering ? ` (${((100 * least) / curve.entering).toFixed(1)}%${exact ? "" : " or more"} of ${count(curve.entering)} judged)` : "";
      const text = `${curve.column} ${curve.sign} ${number(at)} keeps ${rows} row${rows === "1" ? "" : "s"}${share}${against}`;
      output.textContent = text;
      back.hidden = n === curve.start;
      slider.setAttribute("aria-valuetext", text);
    };
    slider.addEventListener("input", () => {
      const wanted = slider.value / 1000;
      n = places.reduce((best, place, here) => (Math.abs(place - wanted) < Math.abs(places[best] - wanted) ? here : best), 0);
      move();
    });
    slider.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity }[event.key];
      if (!step) return;
      event.preventDefault();
      n = Math.max(0, Math.min(curve.at.length - 1, n + step));
      move();
    });
    back.addEventListener("click", () => { n = curve.start; move(); slider.focus(); });
    move();
  });
}

// One group of rows at a time, and a search within all of them.
function rows() {
  const choice = one("#group"), search = one("#find"), said = one("#found"), groups = all(".group");
  if (!choice) return;
  const show = () => {
    const words = search.value.trim().toLowerCase();
    let found = 0;
    for (const group of groups) {
      let here = 0;
      for (const item of group.querySelectorAll(":scope .cards > .card, :scope .pair")) {
        item.hidden = words !== "" && !item.textContent.toLowerCase().includes(words);
        here += item.hidden ? 0 : 1;
      }
      group.hidden = words ? here === 0 : group.id !== choice.value;
      found += group.hidden ? 0 : here;
    }
    choice.disabled = words !== "";
    said.textContent = words ? `${count(found)} of the rows on this page` : "";
  };
  const turn = (by) => { choice.selectedIndex = (choice.selectedIndex + by + choice.options.length) % choice.options.length; show(); };
  choice.addEventListener("change", show);
  search.addEventListener("input", show);
  one("#before").addEventListener("click", () => turn(-1));
  one("#next").addEventListener("click", () => turn(1));
  show();
}

// On paper everything is open.
function paper() {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("#verdict details:not([open]), #conditions details:not([open])");
    opened.forEach((part) => { part.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((part) => { part.open = false; }));
}

// Where the reader is.
function place() {
  const links = new Map(all("nav.toc a").map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-15% 0px -75% 0px" });
  all("section.part").forEach((part) => seen.observe(part));
}

theme(); tips(); subsets(); thresholds(); rows(); paper(); place();
